//! A streamed answer put together again, in the form that it would have had unary. For records: what
//! a client was sent in a hundred pieces is one text there, which can be read and searched.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::{self, Json, scan};

/// Deeper events are no answers.
const DEPTH_MAX: usize = 16;
/// What a value costs beside its text, as memory is counted.
const NODE_BYTES: usize = 48;

/// Of an event besides its text, to know the next one by. One that has more is read each time.
const FORM_BYTES_MAX: usize = 4_096;

/// Members whose later value takes the place of the earlier one; other texts go on where they stopped.
const REPLACED: [&str; 9] = [
    "role",
    "type",
    "id",
    "name",
    "object",
    "model",
    "finish_reason",
    "system_fingerprint",
    "service_tier",
];

/// Sound, and tokens one by one: what was said stands beside them as text.
const LEFT_OUT: [&str; 2] = ["data", "logprobs"];

#[derive(Debug)]
pub struct Transcript {
    bytes_max: usize,
    bytes: usize,
    is_cut: bool,
    /// As the first event that says so names it.
    model: Option<String>,
    choices: Node,
    /// Events without choices, as they came.
    others: Vec<Vec<u8>>,
    /// Of the event before, if one text is all that another of it would add.
    form: Option<Form>,
}

/// An event up to the end of its choices, but for one text. Most events of a stream are the one before with
/// another text in this place: those need not be read.
#[derive(Debug)]
struct Form {
    /// Ends with the text's opening quote.
    before: Vec<u8>,
    /// Begins with its closing one.
    after: Vec<u8>,
    /// Where it goes on: which member or element of each node.
    path: Vec<usize>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    /// A number, `true` or `false`.
    Plain(String),
    Map(Vec<(String, Node)>),
    /// By the elements' own `index`, else by their place.
    List(Vec<(u64, Node)>),
}

impl Transcript {
    /// Past about `bytes_max` the rest is left out, and the document says so.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            is_cut: false,
            model: None,
            choices: Node::List(Vec::new()),
            others: Vec::new(),
            form: None,
        }
    }

    /// Whole server-sent events. What cannot be read is left out.
    pub fn push(&mut self, events: &[u8]) {
        let mut rest = events;
        while !rest.is_empty() && !self.is_cut {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(data) = line.strip_prefix(b"data:") {
                self.event(data.trim_ascii());
            }
        }
    }

    fn event(&mut self, data: &[u8]) {
        if !data.starts_with(b"{") {
            return; // `[DONE]`
        }
        if self.goes_on(data) {
            return;
        }
        self.form = None;
        let Some(choices) = Json::whole(data).get("choices") else {
            if scan::members(data, []).is_ok() {
                self.bytes += data.len() + NODE_BYTES;
                self.others.push(data.to_vec());
                self.is_cut = self.bytes > self.bytes_max;
            }
            return;
        };
        if self.model.is_none() {
            let model = Json::whole(data).get("model").and_then(Json::text);
            // Names are short; Azure's opening event has none.
            let model = model.filter(|name| !name.is_empty() && name.len() <= 256);
            self.model = model.map(Cow::into_owned);
        }
        let mut merging = Merging::new(self.bytes_max.saturating_sub(self.bytes));
        let before = merging.budget;
        let is_whole = self.choices.merge("choices", choices, &mut merging);
        self.bytes += before - merging.budget;
        self.is_cut = !is_whole;
        // Until the model is known, any event may tell it.
        if is_whole && self.model.is_some() {
            self.form = merging.form(data, choices);
        }
    }

    /// True if the event is the one before with another text, which is added.
    fn goes_on(&mut self, data: &[u8]) -> bool {
        let Some(form) = &self.form else {
            return false;
        };
        let Some(rest) = data.strip_prefix(&*form.before) else {
            return false;
        };
        let (length, text) = json::until_quote(rest);
        if !rest[length..].starts_with(&form.after) {
            return false;
        }
        let Some(Node::Text(before)) = self.choices.at(&form.path) else {
            return false;
        };
        if self.bytes + text.len() <= self.bytes_max {
            self.bytes += text.len();
            before.push_str(&text);
        } else {
            self.is_cut = true;
        }
        true
    }

    /// Something is left out. What ends the answer may be there all the same.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What the provider called the model that answered.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// `{"choices":[{"index":0,"message":{"role":"assistant","content":"…"},"finish_reason":"stop"}]}`;
    /// `None` if nothing was said.
    pub fn into_document(self) -> Option<Vec<u8>> {
        let Self {
            bytes,
            is_cut,
            choices,
            others,
            ..
        } = self;
        if bytes == 0 {
            return None;
        }
        let mut out = Vec::with_capacity(bytes + 64);
        out.extend_from_slice(b"{\"choices\":");
        choices.write(&mut out);
        if !others.is_empty() {
            out.extend_from_slice(b",\"events\":[");
            for (at, event) in others.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(event);
            }
            out.push(b']');
        }
        if is_cut {
            out.extend_from_slice(b",\"cut\":true");
        }
        out.push(b'}');
        Some(out)
    }
}

/// What becomes of one event.
struct Merging<'a> {
    /// Bytes that are left.
    budget: usize,
    /// To the node at hand.
    path: Vec<usize>,
    grown: Grown<'a>,
}

/// What another event just like this one would add: everything else it would set to what it is.
enum Grown<'a> {
    Nothing,
    Text(Json<'a>, Vec<usize>),
    More,
}

impl<'a> Merging<'a> {
    fn new(budget: usize) -> Self {
        Self {
            budget,
            path: Vec::new(),
            grown: Grown::Nothing,
        }
    }

    /// False if there is not so much left.
    fn spend(&mut self, bytes: usize) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    fn grow(&mut self, text: Json<'a>) {
        self.grown = match self.grown {
            Grown::Nothing => Grown::Text(text, self.path.clone()),
            Grown::Text(..) | Grown::More => Grown::More,
        };
    }

    /// `node` gives way to one of another kind. If that is within one event, as where a member comes twice,
    /// another such event would not add to what this one leaves.
    fn replace(&mut self, node: &Node) {
        if !node.is_new() {
            self.grown = Grown::More;
        }
    }

    fn form(self, data: &'a [u8], choices: Json<'a>) -> Option<Form> {
        let Grown::Text(text, path) = self.grown else {
            return None;
        };
        // What was cut off has no form: more of it might come.
        scan::members(data, []).ok()?;
        let place = |part: Json<'_>| {
            let start = part.raw().as_ptr().addr() - data.as_ptr().addr();
            start..start + part.raw().len()
        };
        let (text, choices) = (place(text), place(choices));
        if choices.end - text.len() > FORM_BYTES_MAX {
            return None;
        }
        Some(Form {
            before: data.get(..=text.start)?.to_vec(),
            after: data.get(text.end - 1..choices.end)?.to_vec(),
            path,
        })
    }
}

impl Node {
    fn new() -> Self {
        Self::Plain("null".to_owned())
    }

    /// Nothing was said of it yet: `null` itself is left out.
    fn is_new(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain == "null")
    }

    /// Goes on with `value`. False once the budget is used up.
    fn merge<'a>(&mut self, key: &str, value: Json<'a>, merging: &mut Merging<'a>) -> bool {
        if merging.path.len() > DEPTH_MAX {
            return true;
        }
        if value.is_object() {
            return self.merge_members(value, merging);
        }
        if value.is_array() {
            return self.merge_elements(key, value, merging);
        }
        let Some(text) = value.text() else {
            if !matches!(self, Self::Plain(_)) {
                merging.replace(self);
            }
            *self = Self::Plain(String::from_utf8_lossy(value.raw()).into_owned());
            return true;
        };
        if !merging.spend(text.len()) {
            return false;
        }
        let is_replaced = REPLACED.contains(&key);
        if !is_replaced {
            merging.grow(value);
        }
        match self {
            Self::Text(before) if !is_replaced => before.push_str(&text),
            Self::Text(before) => *before = text.into_owned(),
            other => {
                merging.replace(other);
                *other = Self::Text(text.into_owned());
            }
        }
        true
    }

    fn merge_members<'a>(&mut self, value: Json<'a>, merging: &mut Merging<'a>) -> bool {
        if !matches!(self, Self::Map(_)) {
            merging.replace(self);
            *self = Self::Map(Vec::new());
        }
        let Self::Map(members) = self else {
            return true;
        };
        for (key, value) in value.members() {
            let key = match key {
                Cow::Borrowed("delta") => Cow::Borrowed("message"),
                key => key,
            };
            if value.is_null() || LEFT_OUT.contains(&&*key) {
                continue;
            }
            let known = members.iter().position(|(known, _)| *known == *key);
            if known.is_none() {
                if !merging.spend(NODE_BYTES + key.len()) {
                    return false;
                }
                members.push((key.to_string(), Self::new()));
            }
            let at = known.unwrap_or(members.len() - 1);
            merging.path.push(at);
            let is_whole = members[at].1.merge(&key, value, merging);
            merging.path.pop();
            if !is_whole {
                return false;
            }
        }
        true
    }

    fn merge_elements<'a>(
        &mut self,
        key: &str,
        value: Json<'a>,
        merging: &mut Merging<'a>,
    ) -> bool {
        if !matches!(self, Self::List(_)) {
            merging.replace(self);
            *self = Self::List(Vec::new());
        }
        let Self::List(elements) = self else {
            return true;
        };
        for (place, value) in (0..).zip(value.elements()) {
            let index = value.get("index").and_then(number).unwrap_or(place);
            let known = elements.iter().position(|(known, _)| *known == index);
            if known.is_none() {
                if !merging.spend(NODE_BYTES) {
                    return false;
                }
                elements.push((index, Self::new()));
            }
            let at = known.unwrap_or(elements.len() - 1);
            merging.path.push(at);
            let is_whole = elements[at].1.merge(key, value, merging);
            merging.path.pop();
            if !is_whole {
                return false;
            }
        }
        true
    }

    fn at(&mut self, path: &[usize]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, at| match node {
            Self::Map(members) => members.get_mut(*at).map(|(_, node)| node),
            Self::List(elements) => elements.get_mut(*at).map(|(_, node)| node),
            Self::Text(_) | Self::Plain(_) => None,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put_text(text, out),
            Self::Plain(plain) => out.extend_from_slice(plain.as_bytes()),
            Self::Map(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    put_text(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::List(elements) => {
                out.push(b'[');
                for (at, (_, value)) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
        }
    }
}

fn number(value: Json<'_>) -> Option<u64> {
    std::str::from_utf8(value.raw()).ok()?.parse().ok()
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    // Texts always become JSON.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests;
