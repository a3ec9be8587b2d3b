//! Finds the releases that running processes still use: a process that has not been restarted loads its next
//! module, or the pages of a library that it has mapped, from the release that it was started in.
//!
//! The kernel shows this for processes of the own user only (to root, for all processes); the app's processes
//! run as that user. Paths are compared, not inodes: a process in another mount namespace counts if it sees
//! the release under the same path.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Gives the directories right below `releases` that some process has as its working directory or root, runs
/// a program from, or has a file of open or mapped.
pub(super) fn in_use(releases: &Path) -> BTreeSet<PathBuf> {
    let releases = releases
        .canonicalize()
        .unwrap_or_else(|_| releases.to_owned());
    let mut used = BTreeSet::new();
    let mut add = |path: &Path| {
        let below = path.strip_prefix(&releases).ok();
        if let Some(name) = below.and_then(|below| below.components().next()) {
            used.insert(releases.join(name));
        }
    };
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !is_number(&process.file_name()) {
            continue;
        }
        let process = process.path();
        let files = fs::read_dir(process.join("fd")).into_iter().flatten();
        let links = ["cwd", "root", "exe"].map(|link| process.join(link));
        let links = links
            .into_iter()
            .chain(files.flatten().map(|file| file.path()));
        links
            .filter_map(|link| fs::read_link(link).ok())
            .for_each(|path| add(&path));
        let maps = fs::read(process.join("maps")).unwrap_or_default();
        mapped(&maps).for_each(&mut add);
    }
    used
}

fn is_number(name: &OsStr) -> bool {
    name.as_bytes().iter().all(u8::is_ascii_digit)
}

/// Gives the files that a `maps` file of proc(5) names: each path begins with the first slash of its line.
fn mapped(maps: &[u8]) -> impl Iterator<Item = &Path> {
    let lines = maps.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'/')?;
        line.get(at..)
            .map(|path| Path::new(OsStr::from_bytes(path)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn a_maps_file_is_read_for_its_paths() {
        let maps = b"7f00-7f01 r--p 00000000 fe:00 12    /srv/app/releases/01/a b.so (deleted)\n\
                     7f02-7f03 rw-p 00000000 00:00 0 \n7f04-7f05 rw-p 00000000 00:00 0 [heap]\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(found, [Path::new("/srv/app/releases/01/a b.so (deleted)")]);
    }

    #[test]
    fn a_working_directory_a_program_an_open_and_a_mapped_file_are_uses() {
        let root = tempfile::tempdir().unwrap();
        let releases = root.path().canonicalize().unwrap();
        let release = |name: &str| releases.join(name);
        for name in ["01", "02", "03", "04", "05"] {
            fs::create_dir_all(release(name).join("deep")).unwrap();
            fs::write(release(name).join("deep/file"), "x").unwrap();
        }
        fs::copy("/bin/sleep", release("02").join("sleep")).unwrap();
        assert_eq!(in_use(&releases), BTreeSet::new());
        let map = "import mmap, os, sys\n\
                   f = os.open(sys.argv[1], os.O_RDONLY)\n\
                   m = mmap.mmap(f, 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)\n\
                   os.close(f)\n\
                   print('!', end='', flush=True)\n\
                   sys.stdin.read()\n";
        let mut processes = vec![
            Command::new("sleep")
                .arg("60")
                .current_dir(release("01").join("deep"))
                .spawn()
                .unwrap(),
            // Started through a shell: this process may still have the copied program open for writing
            // (ETXTBSY).
            Command::new("sh")
                .args(["-c", "exec \"$0\" 60"])
                .arg(release("02").join("sleep"))
                .spawn()
                .unwrap(),
            Command::new("sleep")
                .arg("60")
                .stdin(fs::File::open(release("03").join("deep/file")).unwrap())
                .spawn()
                .unwrap(),
        ];
        let mut expected = vec![release("01"), release("02"), release("03")];
        let python = Command::new("python3")
            .args(["-c", map])
            .arg(release("04").join("deep/file"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match python {
            Ok(mut python) => {
                let mut said = [0];
                python
                    .stdout
                    .as_mut()
                    .unwrap()
                    .read_exact(&mut said)
                    .unwrap();
                processes.push(python);
                expected.push(release("04"));
            }
            Err(error) => eprintln!("SKIPPED a mapped file: python3: {error}"),
        }
        // The shell takes a moment to execute the program.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let expected: BTreeSet<_> = expected.into_iter().collect();
        while in_use(&releases) != expected && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let found = in_use(&releases);
        for process in &mut processes {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        assert_eq!(found, expected);
        assert_eq!(in_use(&releases), BTreeSet::new());
    }
}
