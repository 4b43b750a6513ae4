//! Reads what we listen on and how much we put up with: `[[listener]]`, `[admin]`, `[runtime]`, `[log]`, `[limits]`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::certificates;
use super::file::{Node, Place, Table, Value};
use super::keys::{self, Shape};
use super::section::{Findings, Placed, Section, quote};
use crate::http1::HeadLimits;
use crate::listen::network::{Network, NoNetwork, Trusted};
use crate::listen::{self, Limits};
use crate::{admin, admission, log};

const LISTENER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9180);
/// Ports that Onezone's own services take.
const ONEZONE: std::ops::RangeInclusive<u16> = 9100..=9139;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);
const KIB: usize = 1024;
/// The largest count of anything that is limited: practically none.
const MOST: usize = 1_000_000;

/// What is in `[[listener]]` and `[admin]`, no two addresses the same. Relative paths are relative to `directory`.
pub(super) fn addresses(
    root: &Table,
    findings: &Findings,
    directory: &Path,
) -> (Vec<listen::Settings>, admin::Settings) {
    let mut sections = Section::many(root, shape("listener"), findings);
    match root.get("listener") {
        None => sections.push(Section::default_one(root, shape("listener"), findings)),
        Some(Node { value: Value::List(nodes), place }) if nodes.is_empty() => {
            findings.note_mistake("listener", place, "expected at least one listener");
        }
        Some(_) => {}
    }
    let admin = Section::single(root, shape("admin"), findings);
    let mut taken: Vec<(String, Placed<SocketAddr>)> = Vec::new();
    let mut listeners = Vec::new();
    for section in &sections {
        let address = address(section, LISTENER);
        let tls = certificates::of_listener(section, directory);
        let (proxy_protocol, trusted_proxies) = proxies(section);
        listeners.push(listen::Settings { address: address.value, tls, proxy_protocol, trusted_proxies });
        refuse_taken(section, &address, &taken);
        if !section.mistaken("address") {
            taken.push((section.path.clone(), address));
        }
    }
    let admin_address = address(&admin, ADMIN);
    if ONEZONE.contains(&admin_address.value.port()) {
        let message = format!(
            "ports {} to {} belong to Onezone: {}",
            ONEZONE.start(),
            ONEZONE.end(),
            admin_address.value
        );
        admin.mistake("address", &admin_address.place, message);
    }
    refuse_taken(&admin, &admin_address, &taken);
    (listeners, admin::Settings { address: admin_address.value })
}

/// Whom a listener believes, and whether in a header before all else.
fn proxies(section: &Section<'_>) -> (bool, Trusted) {
    let proxy_protocol = section.flag("proxy_protocol", false);
    let expected = "an address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
    let parse = |text: &str| {
        text.parse::<Network>().map_err(|error| match error {
            NoNetwork::Form => String::new(),
            NoNetwork::Bits(_) => error.to_string(),
        })
    };
    let networks = section.list("trusted_proxies", expected, parse, |network| quote(&network.to_string()));
    let networks: Vec<Network> = networks.into_iter().flatten().map(|network| network.value).collect();
    if proxy_protocol.value && networks.is_empty() && !section.mistaken("trusted_proxies") {
        let message =
            "needs trusted_proxies: a header is believed from them only, all others are turned away";
        section.mistake("proxy_protocol", &proxy_protocol.place, message);
    }
    (proxy_protocol.value, Trusted::new(networks))
}

/// `threads` of `[runtime]`; nothing means one a core.
pub(super) fn threads(root: &Table, findings: &Findings) -> Option<usize> {
    Section::single(root, shape("runtime"), findings).optional_count("threads", 1..=1024)
}

/// `[log]`.
pub(super) fn log(root: &Table, findings: &Findings) -> log::Settings {
    let section = Section::single(root, shape("log"), findings);
    let formats = [("text", log::Format::Text), ("json", log::Format::Json)];
    let access =
        [("deprecated", log::Access::Deprecated), ("all", log::Access::All), ("off", log::Access::Off)];
    log::Settings {
        format: section.choice("format", &formats, log::Format::Text),
        access: section.choice("access", &access, log::Access::Deprecated),
    }
}

/// The limits of one configuration.
pub(super) struct Bounds {
    pub client: Limits,
    pub admission: admission::Settings,
    pub upstream_stall: Duration,
    pub drain: Duration,
}

/// `[limits]`.
pub(super) fn limits(root: &Table, findings: &Findings) -> Bounds {
    let section = Section::single(root, shape("limits"), findings);
    let duration = |key, seconds: u32| section.duration(key, seconds * SECOND, MILLISECOND..=DAY);
    let count = |key, default, range| u32::try_from(section.count(key, default, range)).unwrap_or(u32::MAX);
    let bounds = Bounds {
        client: Limits {
            tls_handshake: duration("tls_handshake", 10),
            request_head: duration("request_head", 10),
            client_stall: duration("client_stall", 60),
            client_idle: duration("client_idle", 75),
            head: HeadLimits {
                bytes: section.size("head_bytes", 64 * KIB, KIB..=KIB * KIB),
                fields: section.count("head_fields", 100, 1..=HeadLimits::MOST_FIELDS),
                line: section.size("request_line", 8 * KIB, 256..=64 * KIB),
            },
            connections: section.optional_count("connections", 1..=MOST),
            connections_per_peer: section.optional_count("connections_per_peer", 1..=MOST),
            http2: listen::Http2 {
                streams: count("http2_streams", 100, 1..=10_000),
                resets: count("http2_resets", 200, 10..=1_000_000),
                control: count("http2_control", 1_000, 100..=1_000_000),
            },
            // Settled when the program starts, by what the process may have.
            http2_places: usize::MAX,
        },
        admission: admission::Settings {
            concurrent_requests: section.count("concurrent_requests", 1024, 1..=MOST),
            queue: section.count("queue", 1024, 0..=MOST),
            queue_wait: section.duration("queue_wait", 2 * SECOND, MILLISECOND..=60 * SECOND),
        },
        upstream_stall: duration("upstream_stall", 60),
        drain: section.duration("drain", 30 * SECOND, Duration::ZERO..=DAY),
    };
    if bounds.client.head.line > bounds.client.head.bytes {
        let key = if section.has("request_line") { "request_line" } else { "head_bytes" };
        let message = "request_line cannot be larger than head_bytes, of which it is a part";
        section.mistake(key, &section.place_of(key), message);
    }
    bounds
}

/// The shape of a table of which there is one row in [`keys::SHAPES`].
pub(super) fn shape(name: &str) -> &'static Shape {
    keys::SHAPES.iter().find(|shape| shape.name == name).unwrap_or(&keys::OPERATION)
}

fn address(section: &Section<'_>, default: SocketAddr) -> Placed<SocketAddr> {
    let expected = "an address and a port such as \"127.0.0.1:8080\" or \"[::]:8080\"";
    let parse = |text: &str| text.parse::<SocketAddr>().map_err(|_| String::new());
    let read = |node: &_| section.parse_node(node, expected, &parse);
    section.or_default("address", default, read, |address| quote(&address.to_string()))
}

/// Port 0 takes a free one, so it is never taken; a wildcard takes its port on every address of its family.
fn refuse_taken(section: &Section<'_>, address: &Placed<SocketAddr>, taken: &[(String, Placed<SocketAddr>)]) {
    if section.mistaken("address") {
        return;
    }
    let clash = taken.iter().find(|(_, other)| {
        let (one, other) = (address.value, other.value);
        one.port() != 0
            && one.port() == other.port()
            && one.is_ipv4() == other.is_ipv4()
            && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
    });
    let Some((other_path, other)) = clash else { return };
    // At the one of the two that somebody wrote.
    let (path, place, taker) = match (&address.place, &other.place) {
        (Place::Default, Place::Default) => (&section.path, &section.place, other_path),
        (Place::Default, place) => (other_path, place, &section.path),
        (place, _) => (&section.path, place, other_path),
    };
    let message = format!("{} is already taken by {taker}.address", address.value);
    section.findings().note_mistake(&format!("{path}.address"), place, &message);
}
