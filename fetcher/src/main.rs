//! `pp-fetcher`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // What cron, a shell or a service of root's had open is not for scripts of the apps' user, nor for ours.
    close_fds::set_fds_cloexec(3, &[]);
    if let Some(code) = pp_fetcher::process::script_supervisor::main() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _from_the_environment = fail::FailScenario::setup();
    // Before the command line is looked at: not a command, and in no help.
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == pp_fetcher::worker::WORD)
    {
        return pp_fetcher::worker::serve::main(&arguments.collect::<Vec<_>>());
    }
    pp_fetcher::cli::main()
}
