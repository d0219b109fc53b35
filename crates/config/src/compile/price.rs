//! Prices: from what is written to a book, and from the book to the lists in which calls look.

mod document;
mod entries;
mod lists;
mod provider;
mod shelf;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use domain::price::book::{Answer, Book, ExchangeRate};
use domain::{BackendId, Currency, ModelName, Price};

use self::entries::Entries;
use self::shelf::Shelf;
use crate::catalogue::Catalogue;
use crate::file::File;
use crate::problem::{Place, Problems};
use crate::snapshot::{Backend, Model, Prices, Product, Provisioned, Subscription};

pub(super) use provider::provider_of;

/// The price of an answer, named by all that made it.
pub fn priced(answer: &Answer<'_>) -> Option<Price> {
    answer.price(document::named)
}

/// What the file says of prices, before anybody knows which backend answers which model.
pub(super) struct Written {
    currency: Currency,
    book: Book,
    provisioned: Vec<Provisioned>,
    /// That of the file; absent for the one that ships with Tollgate.
    catalogue: Option<Catalogue>,
    catalogue_file: Option<PathBuf>,
    /// Where models are declared, for what is said of them later.
    models: HashMap<ModelName, Place>,
    exchange_rates: Place,
}

/// What else the lists are made of.
pub(super) struct Compiled<'c> {
    pub models: &'c HashMap<ModelName, Arc<Model>>,
    pub backends: &'c HashMap<BackendId, Arc<Backend>>,
    pub products: Vec<&'c Product>,
    pub subscriptions: Vec<&'c Subscription>,
}

pub(super) fn written(file: &File, problems: &mut Problems) -> Written {
    let catalogue = catalogue(file, problems);
    let mut entries = Entries::new(file, problems);
    let mut book = Book {
        exchange_rates: entries.exchange_rates(file),
        ..Book::default()
    };
    for model in &file.models {
        let of_model = entries.of_model(model);
        book.models.insert(model.name.id.clone(), of_model);
    }
    let mut provisioned = Vec::new();
    for backend in &file.backends {
        let field = format!("backends[{}]", backend.id.id);
        let mut of_backend = entries.scoped(&format!("{field}.prices"), &backend.prices);
        let by_the_hour = entries.provisioned(backend);
        of_backend.extend(by_the_hour.iter().map(|(entry, _)| entry.clone()));
        provisioned.extend(by_the_hour.into_iter().map(|(_, provisioned)| provisioned));
        book.backends.insert(backend.id.id.clone(), of_backend);
    }
    for product in &file.products {
        let field = format!("products[{}].prices", product.id.id);
        let of_product = entries.scoped(&field, &product.prices);
        book.products.insert(product.id.id.clone(), of_product);
    }
    for subscription in &file.subscriptions {
        let field = format!("subscriptions[{}].prices", subscription.id.id);
        let of_subscription = entries.scoped(&field, &subscription.prices);
        book.subscriptions
            .insert(subscription.id.id.clone(), of_subscription);
    }
    // Most scopes say nothing of prices.
    book.models.retain(|_, entries| !entries.is_empty());
    book.backends.retain(|_, entries| !entries.is_empty());
    book.products.retain(|_, entries| !entries.is_empty());
    book.subscriptions.retain(|_, entries| !entries.is_empty());
    let places = file.models.items.iter();
    Written {
        currency: file.currency,
        book,
        provisioned,
        catalogue,
        catalogue_file: file
            .prices
            .catalogue
            .as_ref()
            .map(|file| file.path.clone().into()),
        models: places
            .map(|model| (model.name.id.clone(), model.name.place))
            .collect(),
        exchange_rates: file.exchange_rates.place,
    }
}

fn catalogue(file: &File, problems: &mut Problems) -> Option<Catalogue> {
    let written = file.prices.catalogue.as_ref()?;
    match Catalogue::parse(&written.text) {
        Ok(catalogue) => Some(catalogue),
        Err(error) => {
            let fix = "bring a whole one with `tollgate prices update`, or leave it out to use the one that ships with Tollgate";
            let problem = format!("the catalogue has a fault at {error}");
            problems.error(written.place, "prices.catalogue", problem, fix);
            None
        }
    }
}

impl Written {
    /// The lists of every model, product and subscription, with a warning for what has no price.
    pub fn prices(mut self, compiled: &Compiled<'_>, problems: &mut Problems) -> Prices {
        let shelf = match (self.catalogue.take(), &self.catalogue_file) {
            (Some(catalogue), Some(file)) => Shelf::of_file(catalogue, &file.display().to_string()),
            _ => Shelf::shipped(compiled),
        };
        self.book.catalogue = shelf.entries(compiled);
        let lists = lists::lists(&self.book, self.currency, compiled);
        // A mistake elsewhere may be why a price is missing.
        if !problems.has_errors() {
            self.warn_of_missing(compiled, problems);
        }
        Prices {
            currency: self.currency,
            book: self.book,
            catalogue: shelf.described().into(),
            catalogue_file: self.catalogue_file,
            provisioned: self.provisioned,
            lists,
        }
    }

    fn warn_of_missing(&self, compiled: &Compiled<'_>, problems: &mut Problems) {
        let missing = lists::missing(&self.book, self.currency, compiled);
        for (model, backends) in missing.prices {
            let field = format!("models[{model}]");
            let problem = format!(
                "no price at {}: its calls there will be unpriced",
                backends.join(", ")
            );
            let fix = "add `price`, or say with `catalogue` which of the catalogue's prices it is";
            if let Some(place) = self.models.get(&model) {
                problems.warning(*place, &field, problem, fix);
            }
        }
        for model in missing.answers {
            let field = format!("models[{model}].price");
            let problem = "no price of answers: calls that have one will be unpriced";
            let fix = "add `output_per_million`, or `max_output_tokens: 0` if it writes none";
            if let Some(place) = self.models.get(&model) {
                problems.warning(*place, &field, problem, fix);
            }
        }
        for (from, models) in missing.exchange_rates {
            let to = self.currency;
            let problem = format!(
                "no rate from {from} to {to}, in which these have their price: {}; their calls will be unpriced",
                models.join(", ")
            );
            let fix = format!("add `{{ from: {from}, to: {to}, rate: … }}`");
            problems.warning(self.exchange_rates, "exchange_rates", problem, fix);
        }
    }
}

/// Two rates for the same currencies from the same time on.
fn is_twice(rate: &ExchangeRate, others: &[ExchangeRate]) -> bool {
    let of = |rate: &ExchangeRate| (rate.from, rate.to, rate.since);
    others.iter().any(|other| of(other) == of(rate))
}
