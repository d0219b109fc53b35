//! Tokens by the dimensions that an operator names. However many values clients invent, the series
//! stay within a bound: past it, the dimension with the most values becomes `other`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::Dimensions;
use config::{CallContext, Snapshot};
use domain::record::CallRecord;
use foldhash::fast::RandomState;
use smallvec::SmallVec;
use store::shared_map;

use super::bounded::Bounded;
use super::catalogue;
use super::money::{Money, units};
use super::sample::{Family, Label, Sample, Value};
use super::series::Tokens;

/// A longer value is cut: clients choose some of them.
const VALUE_BYTES_MAX: usize = 128;
/// Names of dimensions over all loads, for the counts of faults and folds.
const NAMES_MAX: usize = 1_000;

const UNKNOWN: &str = "unknown";
const OTHER: &str = "other";

/// Names and values, each after its length.
type Key = SmallVec<[u8; 256]>;
type Values<'a> = SmallVec<[Cow<'a, str>; 8]>;

pub struct Usage {
    /// Hashed fast: there are never more of them than the bound.
    series: papaya::HashMap<Key, Arc<UsageSeries>, RandomState>,
    series_max: AtomicUsize,
    /// By their names: which of its dimensions has the most values.
    spreads: papaya::HashMap<Key, Arc<Spread>, RandomState>,
    /// Taken only to add a series.
    adding: Mutex<()>,
    faults: Bounded<Arc<str>, AtomicU64>,
    folded: Bounded<Arc<str>, AtomicU64>,
}

/// One combination of values.
pub struct UsageSeries {
    labels: Vec<(Arc<str>, Box<str>)>,
    names: Key,
    calls: AtomicU64,
    tokens: Tokens,
    money: Money,
}

/// The distinct values of each dimension, as far as they have a series.
struct Spread {
    sizes: Vec<AtomicUsize>,
    values: Mutex<Vec<HashSet<Box<str>>>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            series: shared_map(),
            series_max: AtomicUsize::new(1_000),
            spreads: shared_map(),
            adding: Mutex::default(),
            faults: Bounded::new(NAMES_MAX, AtomicU64::default),
            folded: Bounded::new(NAMES_MAX, AtomicU64::default),
        }
    }
}

impl UsageSeries {
    pub fn count(&self, record: &CallRecord) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.tokens.add(&record.metered);
        self.money.add(record);
    }
}

impl Usage {
    /// The series of one call. A value that cannot be had is `unknown`: it refuses nothing.
    pub fn series(&self, dimensions: &Dimensions, call: &CallContext<'_>) -> Arc<UsageSeries> {
        let mut values = Values::new();
        for dimension in &dimensions.list {
            values.push(match dimension.value.text(call) {
                Ok(value) => cut(value),
                Err(_fault) => {
                    add_one(&self.faults, &dimension.name);
                    Cow::Borrowed(UNKNOWN)
                }
            });
        }
        let names = names_of(dimensions);
        let key = key_of(&names, &values);
        let room = self.series_max.load(Ordering::Relaxed);
        // The last tenth is for combinations with `other`, so that the other dimensions stay apart.
        if let Some(found) = self.find_or_add(&key, &names, dimensions, &values, room - room / 10) {
            return found;
        }
        self.fold(dimensions, &names, values, room)
    }

    /// Widest dimension first, until the combination is there or fits.
    fn fold(
        &self,
        dimensions: &Dimensions,
        names: &Key,
        mut values: Values<'_>,
        room: usize,
    ) -> Arc<UsageSeries> {
        for index in self.spread(names, dimensions).widest_first() {
            let (Some(value), Some(dimension)) =
                (values.get_mut(index), dimensions.list.get(index))
            else {
                continue;
            };
            *value = Cow::Borrowed(OTHER);
            add_one(&self.folded, &dimension.name);
            let key = key_of(names, &values);
            if let Some(found) = self.find_or_add(&key, names, dimensions, &values, room) {
                return found;
            }
        }
        // All `other`: one for each list of names, which only the configuration makes.
        let key = key_of(names, &values);
        self.find_or_add(&key, names, dimensions, &values, usize::MAX)
            .unwrap_or_else(|| UsageSeries::new(dimensions, names, &values))
    }

    fn find_or_add(
        &self,
        key: &Key,
        names: &Key,
        dimensions: &Dimensions,
        values: &Values<'_>,
        room: usize,
    ) -> Option<Arc<UsageSeries>> {
        let series = self.series.pin();
        if let Some(known) = series.get(key) {
            return Some(known.clone());
        }
        if series.len() >= room {
            return None;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= room && !series.contains_key(key) {
            return None;
        }
        let added =
            series.get_or_insert_with(key.clone(), || UsageSeries::new(dimensions, names, values));
        self.spread(names, dimensions).note(values);
        Some(added.clone())
    }

    fn spread(&self, names: &Key, dimensions: &Dimensions) -> Arc<Spread> {
        let spreads = self.spreads.pin();
        if let Some(spread) = spreads.get(names) {
            return spread.clone();
        }
        let spread = || Arc::new(Spread::new(dimensions.list.len()));
        spreads.get_or_insert_with(names.clone(), spread).clone()
    }

    /// After a load: the new bound, and what is no longer configured makes room.
    pub fn sync(&self, snapshot: &Snapshot) {
        self.series_max
            .store(snapshot.settings.metric_series_max, Ordering::Relaxed);
        let products = snapshot.products.values();
        let configured: HashSet<Key> = products
            .filter_map(|product| product.dimensions.as_deref())
            .map(names_of)
            .collect();
        self.series
            .pin()
            .retain(|_, series| configured.contains(&series.names));
        self.spreads
            .pin()
            .retain(|names, _| configured.contains(names));
    }

    pub fn families(&self, into: &mut Vec<Family>) {
        let mut calls = Family::new(&catalogue::USAGE_CALLS);
        let mut tokens = Family::new(&catalogue::USAGE_TOKENS);
        let mut cost = Family::new(&catalogue::USAGE_COST);
        let mut saved = Family::new(&catalogue::USAGE_SAVED);
        let mut unpriced = Family::new(&catalogue::USAGE_UNPRICED);
        for series in self.series.pin().values() {
            calls.samples.push(Sample {
                labels: series.labels(),
                value: Value::Whole(series.calls.load(Ordering::Relaxed)),
            });
            for (kind, sum) in series.tokens.read() {
                tokens.samples.push(Sample {
                    labels: series.labels_and("kind", Cow::Borrowed(kind)),
                    value: Value::Whole(sum),
                });
            }
            for sum in series.money.sums() {
                for (family, amount) in [(&mut cost, sum.cost), (&mut saved, sum.saved)] {
                    family.samples.push(Sample {
                        labels: series.labels_and("currency", sum.currency.to_string().into()),
                        value: Value::Real(units(amount)),
                    });
                }
            }
            if series.money.unpriced() > 0 {
                unpriced.samples.push(Sample {
                    labels: series.labels(),
                    value: Value::Whole(series.money.unpriced()),
                });
            }
        }
        into.extend([calls, tokens, cost, saved, unpriced]);
        let counts = [
            (&catalogue::DIMENSION_FAULTS, &self.faults),
            (&catalogue::DIMENSION_FOLDED, &self.folded),
        ];
        for (metric, by_name) in counts {
            let mut family = Family::new(metric);
            by_name.for_each(|name, count| {
                family.add(&[name], Value::Whole(count.load(Ordering::Relaxed)));
            });
            into.push(family);
        }
    }
}

impl UsageSeries {
    fn new(dimensions: &Dimensions, names: &Key, values: &Values<'_>) -> Arc<Self> {
        let names_and_values = dimensions.list.iter().zip(values);
        let labels = names_and_values
            .map(|(dimension, value)| (dimension.name.clone(), Box::from(&**value)))
            .collect();
        Arc::new(Self {
            labels,
            names: names.clone(),
            calls: AtomicU64::new(0),
            tokens: Tokens::default(),
            money: Money::default(),
        })
    }

    fn labels_and(&self, name: &'static str, value: Cow<'static, str>) -> Vec<Label> {
        let mut labels = self.labels();
        labels.push(Label {
            name: Cow::Borrowed(name),
            value,
        });
        labels
    }

    fn labels(&self) -> Vec<Label> {
        let labels = self.labels.iter().map(|(name, value)| Label {
            name: Cow::Owned(name.to_string()),
            value: Cow::Owned(value.to_string()),
        });
        labels.collect()
    }
}

impl Spread {
    fn new(dimensions: usize) -> Self {
        Self {
            sizes: (0..dimensions).map(|_| AtomicUsize::new(0)).collect(),
            values: Mutex::new(vec![HashSet::new(); dimensions]),
        }
    }

    /// Only of combinations that have a series, so that this is bounded as they are.
    fn note(&self, values: &Values<'_>) {
        let mut known = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        for ((known, size), value) in known.iter_mut().zip(&self.sizes).zip(values) {
            if !known.contains(&**value) {
                known.insert(Box::from(&**value));
                size.store(known.len(), Ordering::Relaxed);
            }
        }
    }

    fn widest_first(&self) -> SmallVec<[usize; 16]> {
        let mut order: SmallVec<[usize; 16]> = (0..self.sizes.len()).collect();
        let size = |index: &usize| self.sizes[*index].load(Ordering::Relaxed);
        order.sort_by_key(|index| std::cmp::Reverse(size(index)));
        order
    }
}

fn add_one(counts: &Bounded<Arc<str>, AtomicU64>, name: &Arc<str>) {
    counts.count(
        &**name,
        || name.clone(),
        |count| {
            count.fetch_add(1, Ordering::Relaxed);
        },
    );
}

fn names_of(dimensions: &Dimensions) -> Key {
    let mut key = Key::new();
    for dimension in &dimensions.list {
        push(&mut key, &dimension.name);
    }
    key
}

fn key_of(names: &Key, values: &Values<'_>) -> Key {
    let mut key = names.clone();
    for value in values {
        push(&mut key, value);
    }
    key
}

/// With its length before it, so that no value can look like two.
fn push(key: &mut Key, text: &str) {
    key.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(text.as_bytes());
}

fn cut(value: Cow<'_, str>) -> Cow<'_, str> {
    if value.len() <= VALUE_BYTES_MAX {
        return value;
    }
    let end = value.floor_char_boundary(VALUE_BYTES_MAX);
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use config::Expression;
    use config::snapshot::Dimension;
    use domain::{Cost, ModelName};
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn dimensions(list: &[(&str, &str)]) -> Dimensions {
        let list = list.iter().map(|(name, source)| Dimension {
            name: (*name).into(),
            value: Arc::new(Expression::compile(source).unwrap()),
        });
        Dimensions {
            list: list.collect(),
        }
    }

    struct Caller {
        headers: HeaderMap,
        model: ModelName,
    }

    impl Caller {
        fn new(user: &str, model: &str) -> Self {
            let mut headers = HeaderMap::new();
            headers.insert("x-user", HeaderValue::from_str(user).unwrap());
            Self {
                headers,
                model: model.into(),
            }
        }

        fn context(&self) -> CallContext<'_> {
            CallContext {
                subscription: None,
                product: None,
                application: None,
                user: None,
                key_id: None,
                issuer: None,
                subject: None,
                claims: None,
                model: Some(&self.model),
                headers: &self.headers,
                ip: None,
            }
        }
    }

    fn text(usage: &Usage) -> String {
        let mut families = Vec::new();
        usage.families(&mut families);
        crate::telemetry::exposition::text(&families)
    }

    static ONE: LazyLock<CallRecord> =
        LazyLock::new(|| crate::telemetry::money::tests::record(Cost::Nothing));

    #[test]
    fn a_million_users_stay_within_the_bound_and_models_stay_apart() {
        let usage = Usage::default();
        usage.series_max.store(100, Ordering::Relaxed);
        let by = dimensions(&[
            ("User", "request.headers[\"x-user\"]"),
            ("Model", "model.name"),
        ]);
        let mut caller = Caller::new("u", "gpt-4o");
        for user in 0..1_000_000 {
            let model = if user % 2 == 0 { "gpt-4o" } else { "gpt-5" };
            if caller.model.as_str() != model {
                caller.model = model.into();
            }
            let name = HeaderValue::from_str(&format!("user-{user}")).unwrap();
            caller.headers.insert("x-user", name);
            usage.series(&by, &caller.context()).count(&ONE);
        }
        assert!(usage.series.len() <= 100, "{}", usage.series.len());
        let text = text(&usage);
        for model in ["gpt-4o", "gpt-5"] {
            let folded = 500_000 - 45;
            let line = format!(
                "tollgate_usage_tokens_total{{User=\"other\",Model=\"{model}\",kind=\"prompt\"}} {folded}\n"
            );
            assert!(text.contains(&line), "{line}");
        }
        assert!(text.contains("tollgate_dimension_folded_total{dimension=\"User\"} 999910\n"));
        assert!(!text.contains("dimension=\"Model\""));
    }

    #[test]
    fn when_every_dimension_is_wide_all_of_them_become_other() {
        let usage = Usage::default();
        usage.series_max.store(10, Ordering::Relaxed);
        let by = dimensions(&[
            ("User", "request.headers[\"x-user\"]"),
            ("Model", "model.name"),
        ]);
        for n in 0..1_000 {
            let caller = Caller::new(&format!("user-{n}"), &format!("model-{n}"));
            usage.series(&by, &caller.context()).count(&ONE);
        }
        assert!(usage.series.len() <= 11, "{}", usage.series.len());
        let text = text(&usage);
        assert!(
            text.contains("{User=\"other\",Model=\"other\",kind=\"prompt\"}"),
            "{text}"
        );
    }

    #[test]
    fn a_value_that_cannot_be_had_is_unknown_and_counted() {
        let usage = Usage::default();
        let by = dimensions(&[("Session", "request.headers[\"x-session\"]")]);
        let caller = Caller::new("ann", "gpt-4o");
        usage.series(&by, &caller.context()).count(&ONE);
        let text = text(&usage);
        assert!(
            text.contains("tollgate_usage_calls_total{Session=\"unknown\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("tollgate_dimension_faults_total{dimension=\"Session\"} 1\n"));
    }

    #[test]
    fn one_value_never_counts_as_another() {
        let usage = Usage::default();
        let by = dimensions(&[
            ("User", "request.headers[\"x-user\"]"),
            ("Model", "model.name"),
        ]);
        for (user, model) in [("ab", "c"), ("a", "bc"), ("", "abc")] {
            let caller = Caller::new(user, model);
            usage.series(&by, &caller.context()).count(&ONE);
        }
        assert_eq!(usage.series.len(), 3);
        assert_eq!(cut(Cow::Owned("ü".repeat(100))).len(), 128);
    }
}
