//! The consumers of one operation, a page at a time: which of them, in which order, and the links to the others.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::words::{Ago, Moment, Number, consumer_path, some};
use crate::admin::api::decoded;
use crate::escape::Html;
use crate::usage::report::Consumer;

/// How many stand on one page.
const MOST: usize = 100;
/// How many programs and networks of each are named.
const NAMED: usize = 4;

/// Which consumers are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    page: usize,
    sort: Sort,
    /// Of this standing only.
    standing: Option<&'static str>,
    /// Only those in which this text occurs.
    find: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    /// Those that stand against retiring first, of them the last callers.
    #[default]
    Urgent,
    Name,
    Calls,
    First,
    Last,
}

const SORTS: [(&str, Sort); 5] = [
    ("urgent", Sort::Urgent),
    ("name", Sort::Name),
    ("calls", Sort::Calls),
    ("first", Sort::First),
    ("last", Sort::Last),
];

/// Each standing and what it means.
pub(super) const STANDINGS: [(&str, &str); 4] = [
    ("verified", "proven, and stands against retiring"),
    ("negligible", "proven, but calls too rarely to matter"),
    ("claimed", "has proven nothing"),
    ("ignored", "on the ignore list"),
];

impl View {
    /// What a query asks for; what makes no sense is passed over.
    pub fn of(query: &str) -> Self {
        let mut view = View::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "page" => view.page = value.parse::<usize>().map_or(0, |page| page.saturating_sub(1)),
                "sort" => {
                    let known = SORTS.iter().find(|(name, _)| *name == value);
                    view.sort = known.map_or(Sort::Urgent, |(_, sort)| *sort);
                }
                "standing" => {
                    view.standing = STANDINGS.iter().map(|(name, _)| *name).find(|name| *name == value);
                }
                "find" => view.find = decoded(value).unwrap_or_default(),
                _ => {}
            }
        }
        view
    }

    /// The address of this view, for an attribute.
    fn link(&self) -> String {
        let mut parts = Vec::new();
        if let Some(standing) = self.standing {
            parts.push(format!("standing={standing}"));
        }
        if self.sort != Sort::Urgent {
            let name = SORTS.iter().find(|(_, sort)| *sort == self.sort).map_or("", |(name, _)| name);
            parts.push(format!("sort={name}"));
        }
        if !self.find.is_empty() {
            parts.push(format!("find={}", crate::route::encode(self.find.as_bytes())));
        }
        if self.page > 0 {
            parts.push(format!("page={}", self.page + 1));
        }
        format!("?{}#consumers", parts.join("&amp;"))
    }

    fn shows(&self, consumer: &Consumer) -> bool {
        let wanted = self.find.to_lowercase();
        let texts = [&consumer.consumer].into_iter().chain(&consumer.software).chain(&consumer.networks);
        self.standing.is_none_or(|standing| standing == consumer.standing())
            && (wanted.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(&wanted)))
    }
}

/// The list of an operation's consumers.
pub(super) fn write(out: &mut String, consumers: &[Consumer], view: &View, now: Timestamp) {
    out.push_str("<section aria-labelledby=\"consumers\"><h2 id=\"consumers\">Who calls</h2>\n");
    if consumers.is_empty() {
        out.push_str("<p>Nobody has called since the beginning of the report.</p></section>\n");
        return;
    }
    filters(out, consumers, view);
    let mut shown: Vec<&Consumer> = consumers.iter().filter(|consumer| view.shows(consumer)).collect();
    sort(&mut shown, view.sort);
    let pages = shown.len().div_ceil(MOST).max(1);
    let view = View { page: view.page.min(pages - 1), ..view.clone() };
    if shown.is_empty() {
        out.push_str("<p>None of them.</p></section>\n");
        return;
    }
    let first = view.page * MOST;
    let on_page = &shown[first..shown.len().min(first + MOST)];
    let _ = write!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"who\" tabindex=\"0\"><table class=\"cards\" role=\"table\"><caption id=\"who\">\
         Consumers {} to {} of {}{}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
        Number(first as u64 + 1),
        Number((first + on_page.len()) as u64),
        Number(shown.len() as u64),
        if view.find.is_empty() {
            String::new()
        } else {
            format!(" with “<bdi>{}</bdi>”", Html(&view.find))
        },
    );
    for (label, key) in [
        ("Consumer", Some(Sort::Name)),
        ("Standing", Some(Sort::Urgent)),
        ("Calls", Some(Sort::Calls)),
        ("1&nbsp;d", None),
        ("7&nbsp;d", None),
        ("30&nbsp;d", None),
        ("Software", None),
        ("Networks", None),
        ("First call", Some(Sort::First)),
        ("Last call", Some(Sort::Last)),
    ] {
        head(out, label, key, &view);
    }
    out.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for consumer in on_page {
        let _ = write!(
            out,
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><a href=\"{}\"><bdi>{}</bdi></a></th>",
            consumer_path(&consumer.consumer),
            Html(&consumer.consumer),
        );
        cells(out, consumer, now);
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    links(out, &view, pages);
    out.push_str("</section>\n");
}

/// What is known of a consumer of one operation, from its standing on.
pub(super) fn cells(out: &mut String, consumer: &Consumer, now: Timestamp) {
    let standing = consumer.standing();
    let class = if consumer.counts { "tag bad" } else { "tag" };
    let outcomes = [(consumer.success, "ok"), (consumer.refused, "refused"), (consumer.failed, "failed")];
    let outcomes = outcomes.into_iter().filter(|(calls, _)| *calls > 0);
    let outcomes: Vec<String> =
        outcomes.map(|(calls, outcome)| format!("{} {outcome}", Number(calls))).collect();
    let _ = write!(
        out,
        "<td role=\"cell\" data-label=\"Standing\"><span class=\"{class}\">{standing}</span></td>\
         <td role=\"cell\" data-label=\"Calls\" class=\"n wide\">{}<small>{}</small></td>",
        Number(consumer.calls),
        outcomes.join(" · "),
    );
    let recent = consumer.recent_calls;
    for (label, calls) in [("1 day", recent.day), ("7 days", recent.week), ("30 days", recent.month)] {
        let _ = write!(
            out,
            "<td role=\"cell\" data-label=\"{label}\" class=\"n{}\">{}</td>",
            if calls == 0 { " zero" } else { "" },
            Number(calls)
        );
    }
    for (label, texts) in [("Software", &consumer.software), ("Networks", &consumer.networks)] {
        let _ = write!(out, "<td role=\"cell\" data-label=\"{label}\" class=\"texts\">");
        some(out, texts, NAMED);
        out.push_str("</td>");
    }
    for (label, then) in [("First call", consumer.first_seen), ("Last call", consumer.last_seen)] {
        let _ = write!(
            out,
            "<td role=\"cell\" data-label=\"{label}\" class=\"when\">{}<small>{}</small></td>",
            Moment(then),
            Ago { now, then }
        );
    }
}

fn sort(consumers: &mut [&Consumer], sort: Sort) {
    use std::cmp::Reverse;
    // The report has those with the last call first, and the order of equals stays.
    match sort {
        Sort::Urgent => {
            consumers.sort_by_key(|consumer| (!consumer.counts, consumer.standing() == "claimed"))
        }
        Sort::Name => consumers.sort_by(|one, other| one.consumer.cmp(&other.consumer)),
        Sort::Calls => consumers.sort_by_key(|consumer| Reverse(consumer.calls)),
        Sort::First => consumers.sort_by_key(|consumer| consumer.first_seen),
        Sort::Last => consumers.sort_by_key(|consumer| Reverse(consumer.last_seen)),
    }
}

fn head(out: &mut String, label: &str, key: Option<Sort>, view: &View) {
    let class =
        if matches!(label, "Calls" | "1&nbsp;d" | "7&nbsp;d" | "30&nbsp;d") { " class=\"n\"" } else { "" };
    let Some(key) = key else {
        let _ = write!(out, "<th scope=\"col\" role=\"columnheader\"{class}>{label}</th>");
        return;
    };
    let (order, sign) = match (key == view.sort, key) {
        (false, _) => ("", ""),
        (true, Sort::Name | Sort::First) => (" aria-sort=\"ascending\"", " ↑"),
        (true, _) => (" aria-sort=\"descending\"", " ↓"),
    };
    let link = View { sort: key, page: 0, ..view.clone() }.link();
    let _ = write!(
        out,
        "<th scope=\"col\" role=\"columnheader\"{class}{order}><a href=\"{link}\">{label}<span aria-hidden=\"true\">{sign}</span></a></th>"
    );
}

/// Links to those of each standing, and the place of the field that the script makes.
fn filters(out: &mut String, consumers: &[Consumer], view: &View) {
    out.push_str("<nav class=\"filters\" aria-label=\"Which consumers\" data-find><ul>");
    let all = [(None, consumers.len(), "all", "everybody")];
    let each = STANDINGS.map(|(name, meaning)| {
        let count = consumers.iter().filter(|consumer| consumer.standing() == name).count();
        (Some(name), count, name, meaning)
    });
    for (standing, count, name, meaning) in all.into_iter().chain(each) {
        let current = if standing == view.standing { " aria-current=\"true\"" } else { "" };
        let link = View { standing, page: 0, ..view.clone() }.link();
        let _ = write!(
            out,
            "<li><a href=\"{link}\"{current} title=\"{meaning}\">{name} <b>{}</b></a></li>",
            Number(count as u64)
        );
    }
    out.push_str("</ul></nav>\n");
    out.push_str("<p class=\"note\">");
    let meanings = STANDINGS.map(|(name, meaning)| format!("<b>{name}</b>: {meaning}"));
    let _ = writeln!(out, "{}.</p>", meanings.join("; "));
}

fn links(out: &mut String, view: &View, pages: usize) {
    if pages < 2 {
        return;
    }
    out.push_str("<nav class=\"pages\" aria-label=\"Pages of consumers\"><ul>");
    let at = |page: usize| View { page, ..view.clone() }.link();
    for (label, page, holds) in [
        ("First", 0, view.page > 0),
        ("Previous", view.page.saturating_sub(1), view.page > 0),
        ("Next", view.page + 1, view.page + 1 < pages),
        ("Last", pages - 1, view.page + 1 < pages),
    ] {
        if holds {
            let _ = write!(out, "<li><a href=\"{}\">{label}</a></li>", at(page));
        }
    }
    let _ = writeln!(out, "<li>page {} of {pages}</li></ul></nav>", view.page + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_what_its_link_says() {
        for query in ["", "standing=claimed&sort=calls&find=a%26b%22&page=3", "page=2"] {
            let view = View::of(query);
            let link = view.link().replace("&amp;", "&");
            assert_eq!(link, format!("?{query}#consumers"));
        }
        assert_eq!(View::of("page=0&sort=x&standing=<b>&find=%f&nothing"), View::default());
        assert_eq!(View::of("page=99999999999999999999"), View::default());
    }
}
