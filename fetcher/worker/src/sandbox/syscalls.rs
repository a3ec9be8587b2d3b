//! seccomp: the system calls that the worker may still make. Every other call fails with EPERM.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::SandboxError;

/// The allowed calls: memory, threads, time, and files by descriptor or name. No socket, no program, no process,
/// no signal, no namespace, no key, no device.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // The other filter answers clone3 with ENOSYS: the C library then uses clone.
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_sysinfo,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Older calls of the same kind, which glibc uses where the architecture has them.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

/// Calls whose argument of this index is a mode, which must have no setuid or setgid bit. A mode is only given
/// when a file or directory is made; chmod is not allowed, as Landlock cannot tell whose mode is changed.
const MODES: &[(i64, u8)] = &[
    (libc::SYS_mkdirat, 2),
    (libc::SYS_openat, 3),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
];

const SPECIAL: u64 = 0o6000;
const EXECUTABLE: u64 = libc::PROT_EXEC.unsigned_abs() as u64;
const THREAD: u64 = libc::CLONE_THREAD.unsigned_abs() as u64;
/// `FICLONE` and `FICLONERANGE`: a copy that shares its blocks, on file systems that can do this.
const CLONES: [u64; 2] = [0x4004_9409, 0x4020_940d];

/// Forbids every system call but those for files, memory and threads.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn only_files() -> Result<(), SandboxError> {
    apply(
        vec![(libc::SYS_clone3, Vec::new())].into_iter().collect(),
        true,
    )?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, index) in MODES {
        rules.insert(*call, vec![when(*index, masked(SPECIAL), 0)?]);
    }
    // Memory may be mapped and protected, but never made executable.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![when(2, masked(EXECUTABLE), 0)?]);
    }
    // Threads are allowed, processes are not.
    rules.insert(libc::SYS_clone, vec![when(0, masked(THREAD), THREAD)?]);
    // Limits may be read, but not set.
    rules.insert(libc::SYS_prlimit64, vec![when_long(2, 0)?]);
    // The worker may signal itself, as abort() does.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, own)?]);
    let shared = CLONES.map(|request| when(1, SeccompCmpOp::Eq, request));
    let shared: Result<Vec<_>, _> = shared.into_iter().collect();
    rules.insert(libc::SYS_ioctl, shared?);
    apply(rules, false)
}

/// Installs a filter. The calls in `rules` fail with ENOSYS if `absent`; otherwise they are all that is allowed.
fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, absent: bool) -> Result<(), SandboxError> {
    let what = "seccomp cannot be entered";
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let (other, named) = if absent {
        (SeccompAction::Allow, errno(libc::ENOSYS))
    } else {
        (errno(libc::EPERM), SeccompAction::Allow)
    };
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(SandboxError::at(what))?;
    let program: BpfProgram = SeccompFilter::new(rules, other, named, arch)
        .and_then(TryInto::try_into)
        .map_err(SandboxError::at(what))?;
    seccompiler::apply_filter(&program).map_err(SandboxError::at(what))
}

fn masked(mask: u64) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(mask)
}

fn when(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, SandboxError> {
    rule(index, SeccompCmpArgLen::Dword, op, value)
}

fn when_long(index: u8, value: u64) -> Result<SeccompRule, SandboxError> {
    rule(index, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

fn rule(
    index: u8,
    length: SeccompCmpArgLen,
    op: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, SandboxError> {
    let condition = SeccompCondition::new(index, length, op, value);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.map_err(SandboxError::at("seccomp cannot be entered"))
}
