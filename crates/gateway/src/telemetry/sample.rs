//! What the metrics are at one moment: the same for `/metrics` and for OTLP.

use std::borrow::Cow;

use super::catalogue::Metric;
use super::histogram::Distribution;

/// One metric with all of its series.
pub struct Family {
    pub metric: &'static Metric,
    pub samples: Vec<Sample>,
}

pub struct Sample {
    pub labels: Vec<Label>,
    pub value: Value,
}

pub struct Label {
    pub name: Cow<'static, str>,
    pub value: Cow<'static, str>,
}

pub enum Value {
    Whole(u64),
    Real(f64),
    Distribution(Distribution),
}

impl Family {
    pub fn new(metric: &'static Metric) -> Self {
        Self {
            metric,
            samples: Vec::new(),
        }
    }

    /// A metric without labels.
    pub fn of(metric: &'static Metric, value: Value) -> Self {
        let mut family = Self::new(metric);
        family.add(&[], value);
        family
    }

    /// `values` in the order of the metric's labels.
    pub fn add(&mut self, values: &[&str], value: Value) {
        debug_assert_eq!(values.len(), self.metric.labels.len());
        let labels = self.metric.labels.iter().zip(values);
        let labels = labels.map(|(name, value)| Label {
            name: Cow::Borrowed(name),
            value: Cow::Owned((*value).to_owned()),
        });
        self.samples.push(Sample {
            labels: labels.collect(),
            value,
        });
    }

    pub fn with(mut self, values: &[&str], value: Value) -> Self {
        self.add(values, value);
        self
    }
}
