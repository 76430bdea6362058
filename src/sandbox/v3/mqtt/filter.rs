//! Topics and filters, as the stack's broker takes them (V3 2.2).

/// Whether messages may be published there; the connection ends over others.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['#', '+', '\0'])
}

/// Whether a filter is one; the connection ends over others.
pub(super) fn is_filter(filter: &str) -> bool {
    let levels = filter.split('/').count();
    !filter.is_empty()
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(|(at, level)| match level {
            "#" => at + 1 == levels,
            "+" => true,
            _ => !level.contains(['#', '+']),
        })
}

/// What a filter stands for in the application that has this name; `None` where it leads out of it.
pub(super) fn within(filter: &str, uid: &str) -> Option<String> {
    if filter == "#" || filter == "v3/#" {
        return Some(format!("v3/{uid}/#"));
    }
    let rest = filter.strip_prefix("v3/")?;
    let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (name == "+" || name == uid).then(|| format!("v3/{uid}{rest}"))
}

/// Whether a filter takes a topic. Other than in the standard, `a/#` does not take `a`.
pub(super) fn takes(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", Some(_)) => return true,
            ("+", Some(_)) => {}
            (_, Some(level)) if level == part => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stay_within_the_application() {
        for filter in ["#", "v3/#", "v3/+/#", "v3/app1/#"] {
            assert_eq!(within(filter, "app1").as_deref(), Some("v3/app1/#"));
        }
        assert_eq!(within("v3/+/devices/+/up", "app1@ttn").as_deref(), Some("v3/app1@ttn/devices/+/up"));
        assert_eq!(within("v3/app1", "app1").as_deref(), Some("v3/app1"));
        for filter in ["+/#", "+/devices/+/up", "v3/app1@ttn/#", "v3/app2/#", "$share/g/v3/app1/#", "V3/app1/#", "v3"] {
            assert_eq!(within(filter, "app1"), None, "{filter}");
        }
    }

    #[test]
    fn a_filter_does_not_take_the_level_above_its_end() {
        let up = "v3/app1/devices/abp1/up";
        for filter in ["v3/app1/#", "v3/app1/devices/+/+", "v3/app1/+/+/up", "v3/app1/devices/abp1/#"] {
            assert!(takes(filter, up), "{filter}");
        }
        for filter in ["v3/app1/devices/+/up/#", "v3/app1", "v3/app1/", "v3/app1/devices/+/down/#"] {
            assert!(!takes(filter, up), "{filter}");
        }
        assert!(takes("v3/app1/devices/+/up/#", "v3/app1/devices/abp1/up/normalized"));
        assert!(!takes("v3/app1/devices/+/up", "v3/app1/devices/abp1/up/normalized"));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for filter in ["", "v3/app1/#/up", "v3/app1/dev+/up", "v3/app1/up#", "a\0"] {
            assert!(!is_filter(filter), "{filter:?}");
        }
        assert!(is_filter("/") && is_filter("+/#") && !is_topic("a/+") && !is_topic("") && is_topic("$SYS/x"));
    }
}
