//! What a configuration counts on and is not there: nothing that keeps a gateway from starting, and worth a
//! warning before it does.

use std::path::Path;

use config::snapshot::{Expected, OnDisk};
use config::{Problem, Snapshot};
use gateway::cache::model_folders;

pub fn missing(snapshot: &Snapshot) -> Vec<Problem> {
    let expected = snapshot.expected.iter();
    expected
        .filter_map(|expected| look_for(expected, &snapshot.settings.data_dir))
        .collect()
}

fn look_for(expected: &Expected, data_dir: &Path) -> Option<Problem> {
    let Expected { written, what } = expected;
    match what {
        OnDisk::FolderOf(file) => {
            let folder = file.parent().filter(|folder| *folder != Path::new(""))?;
            let problem = format!("there is no folder `{}`", folder.display());
            let fix = "make it: until it is there, the sink fails and its events wait";
            (!folder.is_dir()).then(|| written.warning(problem, fix))
        }
        OnDisk::LocalModel(local) => {
            let folders = model_folders(local, data_dir);
            let Err(_missing) = embed::find(&folders) else {
                return None;
            };
            let looked_in: Vec<_> = folders
                .iter()
                .map(|folder| format!("`{}`", folder.display()))
                .collect();
            let problem = format!(
                "the local model is not in {}: no question is compared by meaning",
                looked_in.join(" or ")
            );
            let fix = format!("fetch it: {}", embed::how_to_fetch(&folders));
            Some(written.warning(problem, &fix))
        }
    }
}
