//! How a child process limits itself.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::bounds::{Bounds, Confinement};

/// Limits memory and processor time of this process, or fails. Gives up whatever else it can.
pub(super) fn confine(bounds: Bounds) -> io::Result<Confinement> {
    let mut confinement = system::give_up();
    limit(Resource::As, bounds.memory, bounds.memory)?;
    limit(Resource::Cpu, bounds.seconds, bounds.seconds + 1)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, 0, 0)?;
    // Three are open: input, output and errors.
    limit(Resource::Nofile, 3, 3)?;
    confinement.seccomp = system::filter_calls();
    Ok(confinement)
}

fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    // What this process was started with may be less, and can't be raised.
    let hard = getrlimit(resource).maximum.map_or(hard, |most| most.min(hard));
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) })?)
}

#[cfg(target_os = "linux")]
mod system {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
    use rustix::process::Signal;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::Confinement;

    /// What can be given up while files may still be opened.
    pub(super) fn give_up() -> Confinement {
        // A child whose parent is gone has nobody to answer.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let no_new_privileges = rustix::thread::set_no_new_privs(true).is_ok();
        Confinement { no_new_privileges, landlock: restrict(), seccomp: false }
    }

    /// Allows no path, no port, and no other process.
    fn restrict() -> bool {
        // The newest version that is known here. Older kernels enforce what they know.
        let all = ABI::V6;
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(all))
            .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(all)))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(all)))
            .and_then(Ruleset::create)
            .and_then(|ruleset| ruleset.restrict_self());
        ruleset.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
    }

    /// Allows the system calls that a compiler and an allocator need, and none that make memory executable. The process is
    /// killed at any other.
    pub(super) fn filter_calls() -> bool {
        program().is_some_and(|program| seccompiler::apply_filter(&program).is_ok())
    }

    fn program() -> Option<BpfProgram> {
        let not_executable = || {
            let protection = SeccompCondition::new(
                2,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::MaskedEq(libc::PROT_EXEC.cast_unsigned().into()),
                0,
            );
            SeccompRule::new(vec![protection.ok()?]).ok()
        };
        let mut rules: Vec<(i64, Vec<SeccompRule>)> = [
            libc::SYS_brk,
            libc::SYS_clock_gettime,
            libc::SYS_close,
            libc::SYS_exit,
            libc::SYS_exit_group,
            libc::SYS_futex,
            libc::SYS_getpid,
            libc::SYS_getrandom,
            libc::SYS_gettid,
            libc::SYS_madvise,
            libc::SYS_mremap,
            libc::SYS_munmap,
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_restart_syscall,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sched_getaffinity,
            libc::SYS_sched_yield,
            libc::SYS_sigaltstack,
            libc::SYS_tgkill,
            libc::SYS_write,
            libc::SYS_writev,
        ]
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            rules.push((call, vec![not_executable()?]));
        }
        let filter = SeccompFilter::new(
            rules.into_iter().collect(),
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into().ok()?,
        );
        filter.ok()?.try_into().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Confinement;

    pub(super) fn give_up() -> Confinement {
        Confinement::default()
    }

    pub(super) fn filter_calls() -> bool {
        false
    }
}
