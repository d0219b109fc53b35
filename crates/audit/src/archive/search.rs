//! Searching: conditions on metadata, words in content, within what the reader may see.

use domain::{CallId, Wall};
use foldhash::HashSet;
use rusqlite::{Connection, OptionalExtension, params};

use super::Archive;
use crate::bytes::Reader;
use crate::database::Failed;
use crate::event::{Actor, Event, Read, is_record};
use crate::keys::{Found as FoundKey, KeyId};
use crate::query::{Found, Page, Query, Scope, State};
use crate::record::{Glance, Opened, Skeleton};
use crate::segment::Place;
use crate::wanted::Wanted;
use crate::{AuditError, index};

/// A record's row.
pub(crate) struct Row {
    pub(crate) sequence: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) skeleton: Skeleton,
    pub(crate) place: Option<Place>,
    pub(crate) gone_by: Option<u64>,
}

pub(crate) const ROW: &str = "sequence, header, segment, offset, length, gone_by";

impl Row {
    /// `None` for what is no record, or cannot be read: `verify` tells of that.
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Self>> {
        Self::read_if(row, |_| true)
    }

    /// `None` also for what is not wanted.
    fn read_if(
        row: &rusqlite::Row<'_>,
        is_wanted: impl Fn(&Glance<'_>) -> bool,
    ) -> rusqlite::Result<Option<Self>> {
        let header = row.get_ref(1)?.as_blob().unwrap_or_default();
        if !is_record(header) {
            return Ok(None);
        }
        let glance = Glance::read(&mut Reader::new(header.get(2..).unwrap_or_default()));
        let Some(glance) = glance.ok().filter(|glance| is_wanted(glance)) else {
            return Ok(None);
        };
        let number = |at| {
            row.get::<_, Option<i64>>(at)
                .map(|number| number.map(i64::cast_unsigned))
        };
        let place = match (number(2)?, number(3)?, number(4)?) {
            (Some(segment), Some(offset), Some(length)) => Some(Place {
                segment,
                offset,
                length,
            }),
            _ => None,
        };
        Ok(Some(Self {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            header: header.to_vec(),
            skeleton: glance.to_skeleton(),
            place,
            gone_by: number(5)?,
        }))
    }
}

/// What a search has worked out before it looks at records.
struct Plan {
    wanted: Option<Wanted>,
    /// Of what the query and the scope leave; `None` for all.
    keys: Option<HashSet<KeyId>>,
    limit: usize,
}

impl Archive {
    /// The search is an entry of the chain before anything comes back.
    pub fn search(
        &mut self,
        query: &Query,
        scope: &Scope,
        actor: &Actor,
        now: Wall,
    ) -> Result<Page, AuditError> {
        let page = self.find(query, scope)?;
        let about = self.about(query, Some(page.found.len()));
        self.record_event(&Event::Read(Read::Search), &about, actor, now)?;
        Ok(page)
    }

    /// What an entry says of a query, and of what came of it.
    pub fn about(&self, query: &Query, found: Option<usize>) -> String {
        query.describe(found, |person| {
            let pseudonym = self.keyring.pseudonym(person);
            pseudonym[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        })
    }

    /// Whether there is a record of this call that the reader may see. Leaves no entry.
    pub fn has(&mut self, call: CallId, scope: &Scope) -> Result<bool, AuditError> {
        let query = Query {
            call: Some(call),
            limit: 1,
            ..Query::default()
        };
        Ok(!self.find(&query, scope)?.found.is_empty())
    }

    /// One call with its content. The look is an entry of the chain, also if there is no such call.
    pub fn show(
        &mut self,
        call: CallId,
        scope: &Scope,
        actor: &Actor,
        now: Wall,
    ) -> Result<Option<Found>, AuditError> {
        let query = Query {
            call: Some(call),
            with_content: true,
            limit: 1,
            ..Query::default()
        };
        let page = self.find(&query, scope)?;
        let about = format!("{call} found={}", page.found.len());
        self.record_event(&Event::Read(Read::Show), &about, actor, now)?;
        Ok(page.found.into_iter().next())
    }

    pub(crate) fn find(&mut self, query: &Query, scope: &Scope) -> Result<Page, AuditError> {
        let plan = Plan {
            wanted: query
                .text
                .as_deref()
                .map(Wanted::parse)
                .transpose()
                .map_err(AuditError::Invalid)?,
            keys: self.keys_of(query, scope),
            limit: if query.limit == 0 {
                100
            } else {
                query.limit.min(Query::LIMIT_MAX)
            },
        };
        let found = self.run(query, scope, &plan);
        found.map_err(|failed| failed.in_dir(&self.settings.dir))
    }

    /// Applied before anything is opened.
    fn keys_of(&self, query: &Query, scope: &Scope) -> Option<HashSet<KeyId>> {
        let person = query.person.as_deref();
        match (&query.subscription, scope) {
            (Some(id), scope) if !scope.holds(id.as_str()) => Some(HashSet::default()),
            (Some(id), _) => Some(self.keyring.ids_of(Some(id.as_str()), person)),
            (None, Scope::Subscriptions(ids)) => {
                let of =
                    |id: &domain::SubscriptionId| self.keyring.ids_of(Some(id.as_str()), person);
                Some(ids.iter().flat_map(of).collect())
            }
            (None, Scope::All) => person.map(|person| self.keyring.ids_of(None, Some(person))),
        }
    }

    fn run(&mut self, query: &Query, scope: &Scope, plan: &Plan) -> Result<Page, Failed> {
        let connection = &self.database.connection;
        // One state of the log for all of it.
        let transaction = connection.unchecked_transaction()?;
        let mut page = Page::default();
        let last = query
            .before
            .map_or(i64::MAX, |before| before.cast_signed() - 1);
        let last = last.min(last_sequence(&transaction)?);
        let since = query.since.max(query.call.map(began));
        let first = match since {
            Some(since) => first_at(&transaction, since)?,
            None => 1,
        };
        let mut visit = Visit {
            contents: &mut self.contents,
            keyring: &self.keyring,
            query,
            scope,
            plan,
            page: &mut page,
        };
        if query.call.is_some() {
            // From its beginning on: it stands right behind. If the clock was set back meanwhile, before.
            if visit.rows(&transaction, first, last, "ASC")? {
                visit.rows(&transaction, 1, first - 1, "DESC")?;
            }
        } else if let Some(wanted) = &plan.wanted {
            let indexed = index::reach(&transaction)?.cast_signed();
            if visit.rows(&transaction, first.max(indexed + 1), last, "DESC")? {
                let mut candidates = Vec::new();
                let range = first.cast_unsigned()..=last.min(indexed).cast_unsigned();
                let may_open = |key| plan.keys.as_ref().is_none_or(|keys| keys.contains(&key));
                if !range.is_empty() {
                    index::search(
                        &transaction,
                        &self.keyring,
                        &wanted.hashes(),
                        range,
                        may_open,
                        |sequence| {
                            candidates.push(sequence);
                        },
                    )?;
                }
                candidates.sort_unstable_by(|one, other| other.cmp(one));
                candidates.dedup();
                for sequence in candidates {
                    let row = transaction
                        .prepare_cached(&format!("SELECT {ROW} FROM chain WHERE sequence = ?"))?
                        .query_row([sequence.cast_signed()], |row| {
                            Row::read_if(row, |glance| visit.wants(glance))
                        })
                        .optional()?
                        .flatten();
                    if let Some(row) = row
                        && !visit.row(row)?
                    {
                        break;
                    }
                }
            }
        } else {
            visit.rows(&transaction, first, last, "DESC")?;
        }
        Ok(page)
    }
}

struct Visit<'a> {
    contents: &'a mut crate::vault::Contents,
    keyring: &'a crate::keys::Keyring,
    query: &'a Query,
    scope: &'a Scope,
    plan: &'a Plan,
    page: &'a mut Page,
}

impl Visit<'_> {
    /// False once the page is full.
    fn rows(
        &mut self,
        connection: &Connection,
        first: i64,
        last: i64,
        order: &str,
    ) -> Result<bool, Failed> {
        let select = format!(
            "SELECT {ROW} FROM chain WHERE sequence BETWEEN ? AND ? ORDER BY sequence {order}"
        );
        let mut select = connection.prepare_cached(&select)?;
        let mut rows = select.query(params![first, last])?;
        while let Some(row) = rows.next()? {
            if let Some(row) = Row::read_if(row, |glance| self.wants(glance))?
                && !self.row(row)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All that can be said without opening it.
    fn wants(&self, record: &Glance<'_>) -> bool {
        let keys = self.plan.keys.as_ref();
        // What is left of an erased person's records is nobody's.
        let is_theirs = |key| keys.is_some_and(|keys| keys.contains(&key));
        let may_say_it = self.plan.wanted.is_none() || record.numbers.has_texts();
        may_say_it
            && self.query.fits(record)
            && self.scope.holds(record.subscription)
            && (self.query.person.is_none() || is_theirs(record.numbers.key))
    }

    /// One that is wanted. False once the page is full.
    fn row(&mut self, row: Row) -> Result<bool, Failed> {
        let Self { query, plan, .. } = *self;
        let gone_by = row
            .gone_by
            .or_else(|| self.keyring.destroyed_by(row.skeleton.key));
        let mut content = gone_by.map_or(State::Closed, |by| State::Gone { by });
        if plan.wanted.is_some() || query.with_content {
            self.page.opened += 1;
            let is_wanted = |opened: &Opened<'_>| {
                let texts = [
                    opened.prompt.unwrap_or_default(),
                    opened.answer.unwrap_or_default(),
                ];
                plan.wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted.is_in(&texts))
            };
            match open(self.keyring, self.contents, &row, is_wanted)? {
                // Without what it said, nobody can say that it holds the words.
                Looked::Not(_) if plan.wanted.is_some() => return Ok(true),
                Looked::Not(state) => content = state,
                Looked::Other => return Ok(true),
                Looked::Is(opened) if query.with_content => content = State::Here(opened),
                Looked::Is(_) => {}
            }
        }
        let Row {
            sequence, skeleton, ..
        } = row;
        self.page.found.push(Found {
            sequence,
            skeleton,
            content,
        });
        if query.call.is_some() {
            return Ok(false);
        }
        if self.page.found.len() >= plan.limit {
            self.page.next = Some(sequence);
            return Ok(false);
        }
        Ok(true)
    }
}

pub(crate) enum Looked {
    Is(crate::Content),
    Other,
    Not(State),
}

pub(crate) fn open(
    keyring: &crate::keys::Keyring,
    contents: &mut crate::vault::Contents,
    row: &Row,
    is_wanted: impl Fn(&Opened<'_>) -> bool,
) -> Result<Looked, AuditError> {
    if let Some(by) = row.gone_by {
        return Ok(Looked::Not(State::Gone { by }));
    }
    let key = match keyring.find(row.skeleton.key)? {
        FoundKey::Key(key) => key,
        FoundKey::Destroyed { by } => return Ok(Looked::Not(State::Gone { by })),
        FoundKey::Unknown => return Ok(Looked::Not(State::Unreadable)),
    };
    let Some(Ok(mut sealed)) = row.place.as_ref().map(|place| contents.read(place)) else {
        return Ok(Looked::Not(State::Unreadable));
    };
    let opened = key
        .key
        .open(&mut sealed, &row.header)
        .and_then(|plain| Opened::read(plain).ok());
    Ok(match opened {
        None => Looked::Not(State::Unreadable),
        Some(opened) if is_wanted(&opened) => Looked::Is(opened.to_content()),
        Some(_) => Looked::Other,
    })
}

fn began(call: CallId) -> Wall {
    Wall((call.0 >> 80) as i64)
}

fn last_sequence(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM chain")?
        .query_row([], |row| row.get(0))
}

/// The first entry at or after `at`, by halving: times on the chain never go back.
fn first_at(connection: &Connection, at: Wall) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT at FROM chain WHERE sequence = ?")?;
    let (mut low, mut high) = (1, last_sequence(connection)? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let is_before = select
            .query_row([middle], |row| row.get::<_, i64>(0))
            .optional()?;
        if is_before.is_none_or(|middle_at| middle_at < at.0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
