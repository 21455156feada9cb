//! The memory that this process may use.

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// The memory of the machine, or of the control group that the process is in if that is less, in bytes. `None` if the system does
/// not say.
pub fn machine_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = system.total_memory();
    let group = sysinfo::get_current_pid().ok().and_then(|pid| {
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing(),
        );
        Some(system.process(pid)?.cgroup_limits()?.total_memory)
    });
    Some(group.map_or(machine, |group| group.min(machine))).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        let bytes = machine_memory().unwrap();
        assert!((64 << 20..1 << 50).contains(&bytes), "{bytes}");
    }
}
