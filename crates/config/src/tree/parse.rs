//! One YAML document to a tree. Bounded in depth and in nodes, aliases counted as what they stand for.

use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Content, Entry, Node, Scalar};
use crate::problem::{Place, Problems, shown_name};

/// Deeper is refused: no section nests past 8.
const DEPTH_MAX: usize = 32;

/// More is refused: 10,000 subscriptions are some 150,000 nodes, and a "billion laughs" is cut short.
const NODES_MAX: u64 = 2_000_000;

/// Maps of so many names get a table of them; smaller ones, which nearly all are, are searched.
const TABLE_FROM: usize = 16;

/// An error is reported, and leaves nothing to read.
pub(crate) fn parse(
    file: u32,
    text: &str,
    problems: &mut Problems,
) -> Result<Rc<Node>, Unreadable> {
    let mut builder = Builder {
        file,
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
    };
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let read = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let place = place(file, error.marker().line(), error.marker().col());
                Err(Fatal {
                    place,
                    problem: format!("not YAML: {}", error.info()),
                    fix: "correct the syntax".into(),
                })
            }
        };
        if let Err(Fatal {
            place,
            problem,
            fix,
        }) = read
        {
            builder.problems.error(place, "", problem, fix);
            return Err(Unreadable);
        }
    }
    let empty = || {
        Rc::new(Node {
            place: Place {
                file,
                line: 1,
                column: 1,
            },
            content: Content::Null,
        })
    };
    Ok(builder.root.unwrap_or_else(empty))
}

/// The text is no YAML, or too much of it.
pub(crate) struct Unreadable;

/// After this the rest of the text cannot be understood.
struct Fatal {
    place: Place,
    problem: String,
    fix: String,
}

struct Builder<'p> {
    file: u32,
    problems: &'p mut Problems,
    open: Vec<Open>,
    /// With how many nodes each stands for.
    anchors: HashMap<usize, (Rc<Node>, u64)>,
    nodes: u64,
    root: Option<Rc<Node>>,
}

/// A list or map whose end was not seen yet.
struct Open {
    place: Place,
    anchor: usize,
    nodes_before: u64,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Rc<Node>>),
    Map {
        entries: Entries,
        key: Option<(String, Place)>,
        merged: Vec<Rc<Node>>,
    },
}

/// A map's entries, each name once.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    /// Empty below `TABLE_FROM` of them.
    table: HashMap<String, Place>,
}

impl Entries {
    fn place_of(&self, name: &str) -> Option<Place> {
        if self.list.len() >= TABLE_FROM {
            return self.table.get(name).copied();
        }
        let found = self.list.iter().find(|entry| entry.name == name)?;
        Some(found.place)
    }

    /// One whose name is not among them.
    fn push(&mut self, entry: Entry) {
        self.list.push(entry);
        let named = |entry: &Entry| (entry.name.clone(), entry.place);
        if self.list.len() == TABLE_FROM {
            self.table = self.list.iter().map(named).collect();
        } else if self.list.len() > TABLE_FROM {
            self.table.extend(self.list.last().map(named));
        }
    }
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        let here = place(self.file, span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), here);
                let plain = style == ScalarStyle::Plain;
                let content = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Content::Null,
                    text => Content::Scalar(Scalar {
                        text: text.to_owned(),
                        plain,
                    }),
                };
                self.count(1, here)?;
                // In the place of a key even `null` is a name.
                if self.awaits_key() {
                    self.name(text.into_owned(), here)
                } else {
                    self.finish(
                        Node {
                            place: here,
                            content,
                        },
                        anchor,
                        1,
                    )
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), here);
                self.begin(OpenContent::List(Vec::new()), here, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), here);
                let map = OpenContent::Map {
                    entries: Entries::default(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(map, here, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(here),
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fatal(
                        here,
                        "an alias inside the very value that it names",
                        "write the value out",
                    ));
                };
                self.count(nodes, here)?;
                self.attach(node, here)
            }
            Event::DocumentStart(..) if self.root.is_some() => Err(fatal(
                here,
                "a second document in one file",
                "put it into a file of its own in a folder",
            )),
            // Streams' and documents' marks, and comments.
            _ => Ok(()),
        }
    }

    fn count(&mut self, nodes: u64, here: Place) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let problem =
                format!("more than {NODES_MAX} values, aliases counted as what they stand for");
            return Err(fatal(here, &problem, "use fewer aliases"));
        }
        Ok(())
    }

    fn begin(&mut self, content: OpenContent, here: Place, anchor: usize) -> Result<(), Fatal> {
        if self.awaits_key() {
            return Err(fatal(
                here,
                "a field's name must be text",
                "quote it if it starts with `{` or `[`",
            ));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(fatal(
                here,
                &format!("nested deeper than {DEPTH_MAX}"),
                "no field is that deep",
            ));
        }
        let nodes_before = self.nodes;
        self.count(1, here)?;
        self.open.push(Open {
            place: here,
            anchor,
            nodes_before,
            content,
        });
        Ok(())
    }

    fn end(&mut self, here: Place) -> Result<(), Fatal> {
        let Some(Open {
            place,
            anchor,
            nodes_before,
            content,
        }) = self.open.pop()
        else {
            return Err(fatal(here, "an end without a start", "correct the syntax"));
        };
        let content = match content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Map {
                entries, merged, ..
            } => Content::Map(with_merged(entries, &merged, self.problems)),
        };
        let nodes = self.nodes.saturating_sub(nodes_before);
        self.finish(Node { place, content }, anchor, nodes)
    }

    fn finish(&mut self, node: Node, anchor: usize, nodes: u64) -> Result<(), Fatal> {
        let place = node.place;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        self.attach(node, place)
    }

    /// Puts a whole value where it belongs.
    fn attach(&mut self, node: Rc<Node>, here: Place) -> Result<(), Fatal> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map {
                entries,
                key,
                merged,
            }) => {
                let Some((name, place)) = key.take() else {
                    return Err(fatal(
                        here,
                        "a field's name cannot be an alias",
                        "write the name out",
                    ));
                };
                if name == "<<" {
                    merged.push(node);
                    return Ok(());
                }
                if let Some(first) = entries.place_of(&name) {
                    let problem = format!(
                        "a field {} is set twice, first on line {}",
                        shown_name(&name),
                        first.line
                    );
                    self.problems.error(place, "", problem, "keep one of them");
                    return Ok(());
                }
                entries.push(Entry {
                    name,
                    place,
                    value: node,
                });
            }
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: OpenContent::Map { key: None, .. },
                ..
            })
        )
    }

    fn name(&mut self, name: String, place: Place) -> Result<(), Fatal> {
        if let Some(Open {
            content: OpenContent::Map { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((name, place));
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, here: Place) {
        if tagged {
            self.problems.error(
                here,
                "",
                "YAML tags mean nothing here",
                "remove the tag that starts with `!`",
            );
        }
    }
}

/// `<<: *defaults`: what the map does not set itself comes from there, the first of several winning.
fn with_merged(mut entries: Entries, merged: &[Rc<Node>], problems: &mut Problems) -> Vec<Entry> {
    for node in merged {
        let sources: &[Rc<Node>] = match &node.content {
            Content::List(maps) => maps,
            Content::Null | Content::Scalar(_) | Content::Map(_) => std::slice::from_ref(node),
        };
        for source in sources {
            let Content::Map(inherited) = &source.content else {
                problems.error(
                    source.place,
                    "<<",
                    format!("expected a map, found {}", source.described()),
                    "name a map",
                );
                continue;
            };
            for entry in inherited {
                if entries.place_of(&entry.name).is_none() {
                    entries.push(entry.clone());
                }
            }
        }
    }
    entries.list
}

fn fatal(place: Place, problem: &str, fix: &str) -> Fatal {
    Fatal {
        place,
        problem: problem.to_owned(),
        fix: fix.to_owned(),
    }
}

fn place(file: u32, line: usize, column: usize) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        file,
        line: number(line),
        column: number(column).saturating_add(1),
    }
}
