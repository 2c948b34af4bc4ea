//! Calls as an operator writes them for `allow` and `deny`: `POST /nodes/{node}/status`, `GET /access/*`, `* /nodes/pve1/qemu/105/*`.

use serde::Deserialize;

/// A pattern of calls. A segment in braces stands for any one, as does `*`; `*` at the end for all that is below. Other
/// segments stand for themselves, in the API's path template or in the path that is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub struct CallPattern {
    text: String,
    /// None: any.
    method: Option<String>,
    segments: Vec<Segment>,
    /// Whether it is for what is below, too.
    below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Any,
    Is(String),
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

impl CallPattern {
    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it was written for GETs, and for nothing else.
    pub fn is_for_reads(&self) -> bool {
        self.method.as_deref() == Some("GET")
    }

    /// Whether the call is one of these. `template` has its parameters in braces; `path` is what they stand for, its
    /// segments decoded.
    pub fn matches<'a>(&self, method: &str, template: &str, path: impl IntoIterator<Item = &'a str>) -> bool {
        if self.method.as_deref().is_some_and(|mine| mine != method) {
            return false;
        }
        let called: Vec<(&str, &str)> = template.split('/').skip(1).zip(path).collect();
        let fits = match self.below {
            true => called.len() > self.segments.len(),
            false => called.len() == self.segments.len(),
        };
        fits && self.segments.iter().zip(&called).all(|(segment, (template, given))| match segment {
            Segment::Any => true,
            Segment::Is(text) => text == template || text == given,
        })
    }
}

impl CallPattern {
    /// Whether some call of that template is one of these.
    pub fn could_match(&self, method: &str, template: &str) -> bool {
        if self.method.as_deref().is_some_and(|mine| mine != method) {
            return false;
        }
        let called: Vec<&str> = template.split('/').skip(1).collect();
        let fits = match self.below {
            true => called.len() > self.segments.len(),
            false => called.len() == self.segments.len(),
        };
        fits && self.segments.iter().zip(&called).all(|(segment, template)| match segment {
            Segment::Any => true,
            Segment::Is(text) => text == template || template.starts_with('{'),
        })
    }
}

impl TryFrom<String> for CallPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| format!("'{text}' is no pattern of calls such as \"GET /access/*\": {why}");
        let (method, path) =
            text.split_once(' ').ok_or_else(|| wrong("it is a method, a space and a path"))?;
        let method = match method.to_ascii_uppercase() {
            any if any == "*" => None,
            known if METHODS.contains(&known.as_str()) => Some(known),
            _ => return Err(wrong("the method is GET, POST, PUT, DELETE or *")),
        };
        let path = path.trim();
        let path = path.strip_prefix("/api2/json").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        let rest = path.strip_prefix('/').ok_or_else(|| wrong("the path begins with /"))?;
        let mut segments: Vec<&str> = rest.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return Err(wrong("a part of its path is empty"));
        }
        let below = segments.last() == Some(&"*");
        if below {
            segments.pop();
        }
        let mut parts = Vec::new();
        for segment in segments {
            let braces = segment.starts_with('{') && segment.ends_with('}');
            // Half a part would silently stand for nothing.
            if segment.contains(['*', '{', '}', '?', '%']) && !braces && segment != "*" {
                return Err(wrong("each part of its path is a name as it is, a {parameter} or *"));
            }
            parts.push(if braces || segment == "*" { Segment::Any } else { Segment::Is(segment.to_owned()) });
        }
        Ok(Self { method, segments: parts, below, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> CallPattern {
        CallPattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_pattern_stands_for_the_calls_that_it_says() {
        let config = ("/nodes/{node}/qemu/{vmid}/config", vec!["nodes", "pve1", "qemu", "105", "config"]);
        let users = ("/access/users", vec!["access", "users"]);
        for (text, (template, path), stands) in [
            ("GET /access/users", &users, true),
            ("get /access/users", &users, true),
            ("GET /api2/json/access/users", &users, true),
            ("POST /access/users", &users, false),
            ("* /access/users", &users, true),
            ("GET /access/*", &users, true),
            ("* /*", &users, true),
            ("GET /access/users/*", &users, false),
            ("GET /access", &users, false),
            ("GET /nodes/{node}/*", &config, true),
            ("GET /nodes/*/qemu/*/config", &config, true),
            ("GET /nodes/{node}/qemu/{vmid}/config", &config, true),
            ("GET /nodes/{n}/qemu/{v}/config", &config, true),
            ("GET /nodes/pve1/qemu/105/config", &config, true),
            ("GET /nodes/pve1/qemu/104/config", &config, false),
            ("GET /nodes/pve2/*", &config, false),
            ("GET /nodes/{node}/lxc/{vmid}/config", &config, false),
            ("GET /nodes/{node}/qemu/{vmid}", &config, false),
        ] {
            assert_eq!(
                pattern(text).matches("GET", template, path.iter().copied()),
                stands,
                "{text} {template}"
            );
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in
            ["", "GET", "/access", "FETCH /access", "GET access", "GET /a//b", "GET /a*", "GET /{a", "GET /"]
        {
            assert!(CallPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
