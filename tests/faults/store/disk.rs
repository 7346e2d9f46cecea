//! A disk of its own for the log, which can be filled and made read-only.

use crate::rig::{Program, Row, skip};
use std::{fs, path::Path, path::PathBuf, process::Command};

/// A small file system on the folder of the log, gone when dropped.
pub(super) struct Disk {
    folder: PathBuf,
    filler: PathBuf,
}

impl Disk {
    /// Puts one there, with what the log has so far. The program must be over. `None`: only root may do that.
    pub(super) fn under(program: &Program, mib: usize) -> Option<Self> {
        let db = program.db();
        let folder = db.parent().unwrap().to_owned();
        let kept: Vec<_> = files(&folder);
        let size = format!("size={mib}m,mode=700");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder)
            .output()
            .ok()?;
        if !done.status.success() {
            return None;
        }
        let disk = Self { filler: folder.join("filler"), folder };
        for (name, bytes) in kept {
            fs::write(disk.folder.join(name), bytes).unwrap();
        }
        Some(disk)
    }

    /// Leaves no byte free.
    pub(super) fn fill(&self) {
        use std::io::Write;
        let mut filler = fs::File::create(&self.filler).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Gives the space back.
    pub(super) fn free(&self) {
        fs::remove_file(&self.filler).unwrap();
    }

    /// Whether nobody may write from now on.
    pub(super) fn read_only(&self, only: bool) {
        let how = if only { "remount,ro" } else { "remount,rw" };
        let done = Command::new("mount").args(["-o", how]).arg(&self.folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Takes it away, and leaves what was on it where it was. The program must be over.
    pub(super) fn take_away(self) {
        let (folder, kept) = (self.folder.clone(), files(&self.folder));
        drop(self);
        for (name, bytes) in kept {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let named =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    named.filter_map(|(name, path)| Some((name, fs::read(path).ok()?))).collect()
}

/// The same, under a row that has just started; the row is over if there can be none.
pub(super) async fn under(row: &mut Row, id: &'static str, mib: usize) -> Option<Disk> {
    assert_eq!(row.program.stop().await, Some(0));
    let disk = Disk::under(&row.program, mib);
    if disk.is_none() {
        skip(id, "only root may mount a small disk");
    }
    row.program.restart().await;
    disk
}
