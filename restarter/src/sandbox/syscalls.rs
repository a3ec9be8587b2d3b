//! seccomp: the system calls that each process may still make. All others fail with EPERM.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::SandboxError;

/// The system calls that an event loop with open sockets, timers and memory needs. They open no file, create
/// no process or socket, execute no program and send no signal to another process.
const LOOP: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The system calls that the monitor needs in addition to [`LOOP`]: to connect to the system bus, to wait for
/// the end of the front, and to write the stored limits.
const MONITOR: &[i64] = &[
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    // Writes the digits in the file of stored limits, which is open already.
    libc::SYS_pwrite64,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_setsockopt,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// Applies the front's filter to this process.
///
/// # Errors
/// [`SandboxError`]: the filter could not be built or applied.
pub(crate) fn front() -> Result<(), SandboxError> {
    apply(&[LOOP], false)
}

/// Applies the monitor's filter to this process.
///
/// # Errors
/// [`SandboxError`]: the filter could not be built or applied.
pub(crate) fn monitor() -> Result<(), SandboxError> {
    apply(&[LOOP, MONITOR], true)
}

fn apply(lists: &[&[i64]], unix_sockets: bool) -> Result<(), SandboxError> {
    let what = "seccomp cannot be entered";
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> = lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|call| (*call, Vec::new()))
        .collect();
    // Memory may be mapped and protected, but never made executable.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(
            call,
            vec![argument(2, SeccompCmpOp::MaskedEq(EXECUTABLE), 0)?],
        );
    }
    if unix_sockets {
        let unix = u64::from(libc::AF_UNIX.unsigned_abs());
        rules.insert(libc::SYS_socket, vec![argument(0, SeccompCmpOp::Eq, unix)?]);
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(SandboxError::at(what))?;
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch);
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(SandboxError::at(what))?;
    seccompiler::apply_filter(&program).map_err(SandboxError::at(what))
}

const EXECUTABLE: u64 = libc::PROT_EXEC.unsigned_abs() as u64;

fn argument(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, SandboxError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.map_err(SandboxError::at("seccomp cannot be entered"))
}
