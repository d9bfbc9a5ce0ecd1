//! Does what walk.js does, in four threads.
use std::{fs, os::unix::fs::MetadataExt, path::{Path, PathBuf}, process, thread};

fn find(dir: &Path, names: &mut Vec<PathBuf>) {
    names.push(dir.to_path_buf());
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            find(&entry.path(), names);
        } else {
            names.push(entry.path());
        }
    }
}

fn show(name: &Path) -> String {
    let m = fs::symlink_metadata(name).unwrap();
    format!("{} {:o} {}:{} {} {}", name.display(), m.mode(), m.uid(), m.gid(), m.rdev(), m.len())
}

fn change(file: &Path) {
    let moved = file.with_extension("moved");
    fs::write(file, "12345").unwrap();
    fs::rename(file, &moved).unwrap();
    assert_eq!(fs::metadata(&moved).unwrap().len(), 5);
    fs::remove_file(&moved).unwrap();
}

fn main() {
    let mut names = Vec::new();
    find(Path::new("."), &mut names);
    names.sort();
    let now: Vec<String> = names.iter().map(|n| show(n)).collect();
    let dir = std::env::temp_dir().join(format!("walk{}", process::id()));
    fs::create_dir(&dir).unwrap();
    thread::scope(|threads| {
        for part in 0..4 {
            let (names, now, dir) = (&names, &now, &dir);
            threads.spawn(move || {
                for i in (part..names.len()).step_by(4) {
                    assert_eq!(show(&names[i]), now[i]);
                    change(&dir.join(i.to_string()));
                }
            });
        }
    });
    fs::remove_dir(&dir).unwrap(); // which is empty
    println!("{}", now.join("\n"));
}
