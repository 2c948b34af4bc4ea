//! Trees to read: files in a folder of their own, with counters as pmxcfs keeps them if they are asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provost::estate::{Index, Tree, refresh};

pub struct Files {
    dir: tempfile::TempDir,
    /// Counted files, and guests, by their versions.
    counts: BTreeMap<String, u64>,
    count: u64,
}

impl Files {
    /// Without counters: the folders are listed.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let mut tree = Self { dir: tempfile::tempdir().unwrap(), counts: BTreeMap::new(), count: 1 };
        fs::create_dir_all(tree.root().join("nodes/pve1")).unwrap();
        files.iter().for_each(|(file, text)| tree.write(file, text));
        tree
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn write(&mut self, file: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As pmxcfs shows it: another file stands there.
        let hidden = path.with_extension("tmp");
        fs::write(&hidden, bytes).unwrap();
        fs::rename(&hidden, &path).unwrap();
        self.touch(file);
    }

    pub fn remove(&mut self, file: &str) {
        fs::remove_file(self.root().join(file)).unwrap();
        self.count += 1;
        self.counts.remove(file);
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        fs::create_dir_all(self.root().join(to).parent().unwrap()).unwrap();
        fs::rename(self.root().join(from), self.root().join(to)).unwrap();
        self.counts.remove(from);
        self.touch(to);
    }

    fn touch(&mut self, file: &str) {
        self.count += 1;
        self.counts.insert(file.to_owned(), self.count);
    }

    /// Writes `.version` and `.vmlist` for what stands there now.
    pub fn publish(&self) {
        let (mut ids, mut files, mut vmlist) = (Vec::new(), String::new(), 1);
        for (file, count) in &self.counts {
            let parts: Vec<&str> = file.split('/').collect();
            if let ["nodes", node, kind @ ("lxc" | "qemu-server"), name] = parts[..] {
                let kind = if kind == "lxc" { "lxc" } else { "qemu" };
                let vmid = name.strip_suffix(".conf").unwrap();
                ids.push(format!(
                    "\"{vmid}\": {{ \"node\": \"{node}\", \"type\": \"{kind}\", \"version\": {count} }}"
                ));
                vmlist = self.count;
            } else if !file.ends_with(".fw") || file == "firewall/cluster.fw" {
                files += &format!("\"{file}\": {count},\n");
            }
        }
        let versions = format!(
            "{{\n\"starttime\": 7,\n\"clinfo\": 0,\n\"vmlist\": {vmlist},\n{files}\"kvstore\": {{}}\n}}\n"
        );
        let list = format!("{{\n\"version\": {vmlist},\n\"ids\": {{\n{}}}\n\n}}\n", ids.join(",\n"));
        fs::write(self.root().join(".vmlist"), list).unwrap();
        fs::write(self.root().join(".version"), versions).unwrap();
    }

    pub fn read(&self) -> Arc<Index> {
        read(&self.root())
    }
}

pub fn read(root: &Path) -> Arc<Index> {
    refresh(&Tree::new(root), None)
}

/// Everything that is not as it should be, in words.
pub fn findings(index: &Index) -> Vec<String> {
    index.findings().map(ToString::to_string).collect()
}
