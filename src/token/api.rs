//! Api caveats (contract, section 4.1): which calls a token is confined to. An entry is
//! `service/operation/type.id.aspect[,parameter][:scope]`; every api caveat must match by at least one of its entries.

use std::fmt;

use super::{Caveat, Token};

/// A resource as Onezone names it: `group.G.invite_user_token:private`. Made from parts and compared by parts, since an
/// id out of a request's path can hold any character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gri<'a> {
    /// The type of the entity: `group`.
    pub kind: &'a str,
    /// The id of the entity, or `null`.
    pub id: &'a str,
    /// The aspect of the entity: `user_named_token`.
    pub aspect: &'a str,
    /// What of the aspect: the user's id in `user_named_token,<id>`.
    pub parameter: Option<&'a str>,
    /// The scope of the view: `private` in every call of a token API.
    pub scope: &'a str,
}

impl<'a> Gri<'a> {
    /// `kind.id.aspect:private`.
    pub fn private(kind: &'a str, id: &'a str, aspect: &'a str) -> Self {
        Gri { kind, id, aspect, parameter: None, scope: "private" }
    }

    /// The same with a parameter: `kind.id.aspect,parameter:private`.
    pub fn with(self, parameter: &'a str) -> Self {
        Gri { parameter: Some(parameter), ..self }
    }
}

impl fmt::Display for Gri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.kind, self.id, self.aspect)?;
        if let Some(parameter) = self.parameter {
            write!(f, ",{parameter}")?;
        }
        write!(f, ":{}", self.scope)
    }
}

/// The first api caveat of the token that does not allow this call: `service` is `ozw` for Onezone, `operation` is
/// `create` (POST, PUT), `get`, `update` (PATCH) or `delete`.
pub fn unmatched<'t>(token: &'t Token, service: &str, operation: &str, gri: &Gri<'_>) -> Option<&'t Caveat> {
    token.caveats.iter().find(|caveat| match caveat {
        Caveat::Api(entries) => !entries.iter().any(|entry| matches(entry, service, operation, gri)),
        _ => false,
    })
}

/// Whether `text` has the form of an entry of an api caveat.
pub fn is_entry(text: &str) -> bool {
    Entry::read(text).is_some()
}

fn matches(entry: &str, service: &str, operation: &str, gri: &Gri<'_>) -> bool {
    Entry::read(entry).is_some_and(|entry| {
        (entry.service == "all" || entry.service == service)
            && (entry.operation == "all" || entry.operation == operation)
            && covers(entry.kind, gri.kind)
            && covers(entry.id, gri.id)
            && match (entry.aspect, entry.parameter) {
                ("*", None) => true,
                (aspect, None) => aspect == gri.aspect && gri.parameter.is_none(),
                (aspect, Some(parameter)) => {
                    covers(aspect, gri.aspect) && gri.parameter.is_some_and(|given| covers(parameter, given))
                }
            }
            && covers(entry.scope, gri.scope)
    })
}

fn covers(pattern: &str, value: &str) -> bool {
    pattern == "*" || pattern == value
}

struct Entry<'a> {
    service: &'a str,
    operation: &'a str,
    kind: &'a str,
    id: &'a str,
    aspect: &'a str,
    parameter: Option<&'a str>,
    scope: &'a str,
}

impl<'a> Entry<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (service, rest) = text.split_once('/')?;
        let (operation, pattern) = rest.split_once('/')?;
        let (resource, scope) = pattern.rsplit_once(':').unwrap_or((pattern, "private"));
        let (kind, rest) = resource.split_once('.')?;
        let (id, aspect) = rest.split_once('.')?;
        let (aspect, parameter) = match aspect.split_once(',') {
            Some((aspect, parameter)) => (aspect, Some(parameter)),
            None => (aspect, None),
        };
        let parts = [service, operation, kind, id, aspect, parameter.unwrap_or("*"), scope];
        parts.iter().all(|part| !part.is_empty()).then_some(Entry {
            service,
            operation,
            kind,
            id,
            aspect,
            parameter,
            scope,
        })
    }
}
