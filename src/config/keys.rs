//! Every key there is, one row a table: what is known, and what belongs to a feature that does not exist yet and is
//! refused by its name. Finds the nearest known key for one that is neither.

use super::file::{Entry, Node, Place, Table, Value};
use super::invalid::Mistake;

/// The keys of one table of the file.
pub(super) struct Shape {
    /// Its name: `upstream`.
    pub name: &'static str,
    /// Whether there may be many of it, written `[[name]]`.
    pub many: bool,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [&'static str],
    /// Keys of features to come.
    pub later: &'static [&'static str],
}

/// Every table of the file, in the order of the documentation.
pub(super) const SHAPES: [Shape; 11] = [
    Shape {
        name: "listener",
        many: true,
        keys: &["address", "tls", "proxy_protocol", "trusted_proxies"],
        later: &[],
    },
    Shape { name: "admin", many: false, keys: &["address"], later: &["tls"] },
    Shape { name: "runtime", many: false, keys: &["threads"], later: &[] },
    Shape { name: "log", many: false, keys: &["format", "access"], later: &[] },
    Shape {
        name: "limits",
        many: false,
        keys: &[
            "tls_handshake",
            "request_head",
            "client_stall",
            "client_idle",
            "upstream_stall",
            "drain",
            "head_bytes",
            "head_fields",
            "request_line",
            "http2_streams",
            "http2_resets",
            "http2_control",
            "connections",
            "connections_per_peer",
            "concurrent_requests",
            "queue",
            "queue_wait",
        ],
        later: &[],
    },
    Shape {
        name: "upstream",
        many: false,
        keys: &[
            "servers",
            "ca_file",
            "server_name",
            "insecure_skip_verify",
            "client_cert_file",
            "client_key_file",
            "connect_timeout",
            "response_timeout",
            "service_token_file",
            "health_path",
            "health_interval",
            "health_timeout",
            "health_fall",
            "health_rise",
            "eject_after",
            "eject_most",
            "connections_per_server",
            "resolve_interval",
            "source",
            "max_requests",
            "idle_timeout",
            "name_cache",
            "check_ip_caveats",
            "via",
        ],
        later: &[],
    },
    Shape {
        name: "ledger",
        many: false,
        keys: &["url", "password_file", "ca_file", "timeout", "connections", "retention"],
        later: &[],
    },
    Shape {
        name: "usage",
        many: false,
        keys: &[
            "retention",
            "window",
            "ignore",
            "negligible_calls",
            "claimed_consumers",
            "held",
            "consumer_series",
        ],
        later: &[],
    },
    Shape { name: "local", many: false, keys: &["onezone_domain", "key_file"], later: &[] },
    Shape {
        name: "tracing",
        many: false,
        keys: &["otlp_endpoint", "sample_ratio", "service_name", "ca_file"],
        later: &[],
    },
    Shape {
        name: "deprecation",
        many: false,
        keys: &[
            "deprecated_at",
            "sunset_at",
            "documentation",
            "sunset_policy",
            "mode",
            "fallback",
            "after_sunset",
        ],
        later: &["warning"],
    },
];

/// The table of one operation.
pub(super) const OPERATION: Shape = Shape {
    name: "operation",
    many: true,
    keys: &[
        "id",
        "method",
        "path",
        "mode",
        "fallback",
        "successor",
        "deprecated_at",
        "sunset_at",
        "documentation",
        "sunset_policy",
        "after_sunset",
    ],
    later: &["warning"],
};

/// The table of one certificate of a listener: the value of `tls`, or one of a list there.
pub(super) const TLS: Shape =
    Shape { name: "tls", many: false, keys: &["cert_file", "key_file"], later: &[] };

/// Whole tables of features to come.
const LATER: [&str; 2] = ["brownout", "exemption"];

/// What is said of a key or a value whose feature does not exist yet.
pub(super) const NOT_YET: &str = "is not available yet in this version";

/// Every shape, `[[operation]]` included.
pub(super) fn shapes() -> impl Iterator<Item = &'static Shape> {
    SHAPES.iter().chain([&OPERATION])
}

/// The mistakes in the names of `root`, whatever their values are.
pub(super) fn check(root: &Table) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for entry in &root.entries {
        match shapes().find(|shape| shape.name == entry.name) {
            Some(shape) => check_section(shape, entry, &mut mistakes),
            None if LATER.contains(&entry.name.as_str()) => {
                mistakes.push(Mistake::new(&entry.key, &entry.name, NOT_YET));
            }
            None => mistakes.push(unknown(None, &entry.name, entry)),
        }
    }
    mistakes
}

/// The known name that looks most like `name`, of two equally near ones the first.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    known.into_iter().min_by_key(|known| distance(name, known))
}

fn distance(name: &str, known: &str) -> usize {
    strsim::damerau_levenshtein(name, known)
}

fn check_section(shape: &Shape, entry: &Entry, mistakes: &mut Vec<Mistake>) {
    match &entry.node.value {
        Value::Table(table) if !shape.many => check_keys(shape, shape.name, table, mistakes),
        Value::List(tables) if shape.many => {
            for (index, node) in tables.iter().enumerate() {
                match &node.value {
                    Value::Table(table) => {
                        check_keys(shape, &format!("{}[{index}]", shape.name), table, mistakes);
                    }
                    _ => mistakes.push(not_a_table(shape, &format!("{}[{index}]", shape.name), node)),
                }
            }
        }
        _ => mistakes.push(not_a_table(shape, shape.name, &entry.node)),
    }
}

fn check_keys(shape: &Shape, path: &str, table: &Table, mistakes: &mut Vec<Mistake>) {
    for entry in &table.entries {
        let name = entry.name.as_str();
        if shape.later.contains(&name) {
            mistakes.push(Mistake::new(&entry.key, &format!("{path}.{name}"), NOT_YET));
        } else if !shape.keys.contains(&name) {
            mistakes.push(unknown(Some(shape), &format!("{path}.{name}"), entry));
        } else if shape.name == "listener" && name == TLS.name {
            check_certificates(&format!("{path}.{name}"), &entry.node, mistakes);
        }
    }
}

/// The value of `tls`: what is neither a table nor a list of tables is noted where it is read.
fn check_certificates(path: &str, node: &Node, mistakes: &mut Vec<Mistake>) {
    match &node.value {
        Value::Table(table) => check_keys(&TLS, path, table, mistakes),
        Value::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                if let Value::Table(table) = &node.value {
                    check_keys(&TLS, &format!("{path}[{index}]"), table, mistakes);
                }
            }
        }
        _ => {}
    }
}

fn not_a_table(shape: &Shape, path: &str, node: &Node) -> Mistake {
    let message = match (&node.place, shape.many) {
        (Place::Environment(_), true) => {
            let name = super::environment::name([shape.name, "0", shape.keys[0]]);
            format!("expected a list of tables, set one key of one: {name}")
        }
        (Place::Environment(_), false) => {
            let name = super::environment::name([shape.name, shape.keys[0]]);
            format!("expected a table, set one key of it: {name}")
        }
        (_, true) => {
            format!("expected a list of tables, written [[{}]], found {}", shape.name, node.value.describe())
        }
        (_, false) => {
            format!("expected a table, written [{}], found {}", shape.name, node.value.describe())
        }
    };
    Mistake::new(&node.place, path, message)
}

/// An unknown key. Its nearest neighbour is one of its own table, unless one of another table is nearer and almost it.
fn unknown(shape: Option<&Shape>, path: &str, entry: &Entry) -> Mistake {
    let name = entry.name.as_str();
    let own = match shape {
        Some(shape) => nearest(name, shape.keys.iter().copied()),
        None => nearest(name, shapes().map(|shape| shape.name)),
    };
    let own = own.unwrap_or_default();
    let elsewhere = shapes()
        .flat_map(|other| other.keys.iter().map(move |key| (other, *key)))
        .min_by_key(|(_, key)| distance(name, key))
        .filter(|(_, key)| distance(name, key) <= 2 && distance(name, key) < distance(name, own));
    let (table, key) = match (shape, elsewhere) {
        (_, Some(found)) => found,
        (Some(shape), None) => (shape, own),
        (None, None) => return Mistake::new(&entry.key, path, unknown_table(own, &entry.key)),
    };
    let message = match &entry.key {
        Place::Environment(variable) => {
            // The index that was written, if there was one, belongs into the name that is proposed.
            let index =
                variable.split("__").nth(2).filter(|part| part.parse::<usize>().is_ok()).unwrap_or("0");
            let name = match table.many {
                true => super::environment::name([table.name, index, key]),
                false => super::environment::name([table.name, key]),
            };
            format!("unknown name, the nearest is {name}")
        }
        _ if shape.is_some_and(|shape| shape.name == table.name) => {
            format!("unknown key, the nearest is {key:?}")
        }
        _ if table.many => format!("unknown key, the nearest is {key:?} in [[{}]]", table.name),
        _ => format!("unknown key, the nearest is {key:?} in [{}]", table.name),
    };
    Mistake::new(&entry.key, path, message)
}

fn unknown_table(nearest: &str, place: &Place) -> String {
    match place {
        Place::Environment(_) => {
            format!("unknown name, the nearest begins with {}", super::environment::name([nearest, ""]))
        }
        _ => format!("unknown key, the nearest is {nearest:?}"),
    }
}
