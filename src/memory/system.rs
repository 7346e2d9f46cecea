//! What the system says of memory: what it has, what it allows this program, and what the program takes. Linux only;
//! elsewhere nothing is known.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Above this, version 1 of control groups means that there is no limit; it says so in pages of the largest integer.
const NO_LIMIT: u64 = 1 << 60;

/// What the control groups allow this program, in bytes: the least of its own and those it stands in. `None`: no limit.
pub(super) fn allowed() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    least(Path::new("/sys/fs/cgroup"), &groups)
}

/// What the machine has, in bytes.
pub(super) fn installed() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// What the program takes, in bytes.
pub(super) fn resident() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

// Source: Linux Documentation/admin-guide/cgroup-v2.rst (memory.max, "0::/path" in /proc/self/cgroup) and
// cgroup-v1/memory.rst (memory.limit_in_bytes, "n:memory:/path").
fn least(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, kinds, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file): (PathBuf, _) = match kinds {
            "" => (root.into(), "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // Inside a container the path is the one outside; then the root is the container's own group.
        let own = root.join(path.trim_start_matches('/'));
        let above = own.ancestors().take_while(|folder| folder.starts_with(&root));
        above.filter_map(|folder| limit(&folder.join(file))).min()
    });
    limits.min()
}

fn limit(file: &Path) -> Option<u64> {
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < NO_LIMIT).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (path, text) in [
            ("memory.max", "max\n"),
            ("a/memory.max", "1000\n"),
            ("a/b/memory.max", "2000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/x/memory.limit_in_bytes", "500\n"),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(least(root, "0::/a/b\n"), Some(1000));
        assert_eq!(least(root, "0::/\n"), None);
        assert_eq!(least(root, "0::/not/here\n"), None);
        assert_eq!(least(root, "4:cpu,memory:/x\n1:name=systemd:/\n0::/a\n"), Some(500));
        assert_eq!(least(root, "4:memory:/\n"), None);
        assert_eq!(least(root, "no sense"), None);
    }

    #[test]
    fn sizes_are_read_from_lines_with_units() {
        let text = "Name:\tx\nVmRSS:\t    1234 kB\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Some(1234 * 1024));
        assert_eq!(kilobytes(text, "VmSwap:"), None);
        assert!(cfg!(not(target_os = "linux")) || resident() > Some(1 << 20));
    }
}
