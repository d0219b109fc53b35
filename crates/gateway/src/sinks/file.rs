//! Lines in a file that is rotated. Its work blocks, so it is done on a thread that may.

mod rotation;
mod writer;

use config::snapshot::FileSink;
use domain::Wall;

use super::batch::{Batch, Failure};
use writer::Writer;
pub use writer::append;

pub struct RotatedFile {
    /// `None` while it is at work, and after a panic there.
    writer: Option<Writer>,
    definition: FileSink,
}

impl RotatedFile {
    pub fn new(definition: FileSink) -> Self {
        Self {
            writer: None,
            definition,
        }
    }

    pub async fn deliver(&mut self, batch: &mut Batch, now: Wall) -> Result<(), Failure> {
        let piece = batch.piece();
        let mut lines = Vec::new();
        for index in &piece {
            lines.extend_from_slice(&batch.events[*index].json);
            lines.push(b'\n');
        }
        self.work(move |writer| writer.add(&lines, now)).await?;
        batch.take(&piece);
        Ok(())
    }

    pub async fn rotate_if_due(&mut self, now: Wall) -> Result<(), Failure> {
        if self.definition.every.is_none() {
            return Ok(());
        }
        self.work(move |writer| writer.rotate_if_due(now)).await
    }

    async fn work(
        &mut self,
        work: impl FnOnce(&mut Writer) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::new(self.definition.clone()),
        };
        let worked = tokio::task::spawn_blocking(move || {
            let worked = work(&mut writer);
            (writer, worked)
        });
        let path = self.definition.path.display();
        let Ok((writer, worked)) = worked.await else {
            return Err(Failure::because(format!("writing to `{path}` broke off")));
        };
        self.writer = Some(writer);
        worked.map_err(|error| Failure::because(format!("cannot write to `{path}`: {error}")))
    }
}
