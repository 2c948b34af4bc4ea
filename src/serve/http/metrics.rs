//! `/metrics`, in the form that its reader knows: OpenMetrics for who asks for it, as Prometheus does, and Prometheus' own
//! text for all others.

use hyper::header::{ACCEPT, HeaderMap};

use super::answer::{Answer, text};

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `metrics` is OpenMetrics' text.
pub fn answer(headers: &HeaderMap, metrics: String) -> Answer {
    let accepts = |kind: &str| {
        headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).any(|accept| {
            accept.split(',').any(|range| range.split(';').next().unwrap_or_default().trim() == kind)
        })
    };
    match accepts("application/openmetrics-text") {
        true => text(200, OPEN, metrics),
        false => text(200, PLAIN, plain(&metrics)),
    }
}

/// The same in Prometheus' text: a counter is called as its samples are, what is only told is a gauge, and there are no units
/// and no end.
fn plain(metrics: &str) -> String {
    let mut plain = String::with_capacity(metrics.len());
    let mut help = None;
    for line in metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // It is written before what kind it is, on which its name depends.
            (Some("#"), Some("HELP"), Some(name), said) => {
                help = Some((name, said.unwrap_or_default()));
                continue;
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                if let Some((_, said)) = help.take().filter(|(of, _)| *of == name) {
                    plain.push_str(&format!("# HELP {name}{suffix} {said}\n"));
                }
                plain.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                plain.push_str(line);
                plain.push('\n');
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_the_same_before_its_samples_and_in_them() {
        let open = "# HELP a Calls.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n# HELP b_seconds How long.\n\
                    # TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 2.5\n# HELP c It.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            plain(open),
            "# HELP a_total Calls.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n# HELP b_seconds How long.\n\
             # TYPE b_seconds gauge\nb_seconds 2.5\n# HELP c_info It.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n"
        );
    }
}
