//! The gateway's metrics as its exposition text says them.

#[derive(Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

impl Metrics {
    pub fn read(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                Some(Sample {
                    name: name.to_owned(),
                    labels: labels.to_owned(),
                    value: value.parse().ok()?,
                })
            });
        Self(samples.collect())
    }

    /// Sum of the samples of `name` that carry every one of `labels`, written as `outcome="ok"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        self.real(name, labels) as u64
    }

    /// The same of a metric that is no whole number.
    pub fn real(&self, name: &str, labels: &[&str]) -> f64 {
        let matching = self.0.iter().filter(|sample| {
            sample.name == name && labels.iter().all(|label| sample.labels.contains(label))
        });
        matching.map(|sample| sample.value).sum::<f64>()
    }
}
