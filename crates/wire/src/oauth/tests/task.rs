use base::Timestamp;
use proptest::prelude::*;

use super::refused;
use crate::{
    json::Json,
    oauth::{ErrorCode, TaskDetails, TaskLimits, TaskUntil},
};

const TASK: &str = "tsk_00000000000000000000000000";

fn parse(members: &str) -> Result<TaskDetails, super::OAuthError> {
    TaskDetails::parse(&format!(r#"[{{"type":"writ_task"{members}}}]"#))
}

#[test]
fn a_new_task_is_read_whole() {
    let details = parse(&format!(
        r#","purpose":"refunds","instruction":"refund 7\nplease","tools":[{{"server":"crm","tool":"refund","constraints":[{{"argument":"/amount","rule":{{"range":{{"max":"19.990"}}}}}}]}}],"resources":[{{}}],"limits":{{"calls":5}},"expires_in":600,"parent":"{TASK}""#
    ));
    let TaskDetails::New(task) = details.unwrap() else { panic!() };
    assert_eq!((task.purpose.as_str(), task.instruction.as_deref()), ("refunds", Some("refund 7\nplease")));
    assert_eq!(task.tools[0].pointer("/constraints/0/rule/range/max"), Some(&Json::from("19.990")));
    assert_eq!((task.resources.len(), task.prompts.len()), (1, 0));
    assert_eq!(task.limits, TaskLimits { calls: Some(5), bytes: None });
    assert_eq!(task.parent.unwrap().as_str(), TASK);
    let now = Timestamp::from_seconds(1000);
    assert_eq!(task.until.unwrap().resolve(now), Timestamp::from_seconds(1600));
    let TaskDetails::New(task) = parse(r#","purpose":"p","deadline":1800000000"#).unwrap() else { panic!() };
    assert_eq!(task.until, Some(TaskUntil::Deadline(Timestamp::from_seconds(1_800_000_000))));
}

#[test]
fn an_existing_task_is_named_by_its_id_alone() {
    let TaskDetails::Existing(id) = parse(&format!(r#","task":"{TASK}""#)).unwrap() else { panic!() };
    assert_eq!(id.as_str(), TASK);
    for extra in [r#","purpose":"p""#, r#","limits":{}"#, r#","parent":null"#] {
        let (code, why) = refused(parse(&format!(r#","task":"{TASK}"{extra}"#)));
        assert_eq!(code, ErrorCode::InvalidAuthorizationDetails);
        assert!(why.contains("beside `task`"), "{why}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long = "p".repeat(501);
    for (members, named) in [
        ("", "`purpose`"),
        (r#","purpose":"""#, "`purpose`"),
        (r#","purpose":" ""#, "`purpose`"),
        (r#","purpose":"a\nb""#, "`purpose`"),
        (r#","purpose":7"#, "`purpose`"),
        (&format!(r#","purpose":"{long}""#), "`purpose`"),
        (r#","purpose":"p","purpse":"q""#, "`purpse`"),
        (r#","purpose":"p","person":"per_1""#, "`person`"),
        (r#","purpose":"p","actions":["x"]"#, "`actions`"),
        (r#","purpose":"p","instruction":null"#, "`instruction`"),
        (r#","purpose":"p","tools":{}"#, "`tools`"),
        (r#","purpose":"p","tools":["crm"]"#, "`tools`"),
        (r#","purpose":"p","prompts":null"#, "`prompts`"),
        (r#","purpose":"p","limits":[]"#, "`limits`"),
        (r#","purpose":"p","limits":{"calls":0}"#, "`calls`"),
        (r#","purpose":"p","limits":{"calls":-1}"#, "`calls`"),
        (r#","purpose":"p","limits":{"calls":1.5}"#, "`calls`"),
        (r#","purpose":"p","limits":{"calls":"5"}"#, "`calls`"),
        (r#","purpose":"p","limits":{"bytes":1e19}"#, "`bytes`"),
        (r#","purpose":"p","limits":{"cost":1}"#, "`cost`"),
        (r#","purpose":"p","expires_in":0"#, "`expires_in`"),
        (r#","purpose":"p","expires_in":2592001"#, "`expires_in`"),
        (r#","purpose":"p","deadline":"tomorrow""#, "`deadline`"),
        (r#","purpose":"p","expires_in":1,"deadline":1800000000"#, "`deadline`"),
        (r#","purpose":"p","parent":"agt_00000000000000000000000000""#, "`parent`"),
        (r#","purpose":"p","parent":null"#, "`parent`"),
        (r#","task":1"#, "`task`"),
        (r#","purpose":"p","limits":{"calls":1,"c\u0061lls":2}"#, "two members"),
    ] {
        let (code, why) = refused(parse(members));
        assert_eq!(code, ErrorCode::InvalidAuthorizationDetails, "{members}");
        assert!(why.contains(named), "{members}: {why}");
    }
}

#[test]
fn the_array_holds_one_task() {
    let one = r#"{"type":"writ_task","purpose":"p"}"#;
    for bad in [
        "",
        "{}",
        one,
        "[]",
        "null",
        "[1]",
        &format!("[{one},{one}]"),
        r#"[{"type":"payment_initiation"}]"#,
        r#"[{"purpose":"p"}]"#,
        r#"[{"type":"Writ_Task","purpose":"p"}]"#,
        &format!("[{one}] "),
        &format!("[{one}]x"),
    ] {
        if bad.ends_with(' ') {
            assert!(TaskDetails::parse(bad).is_ok());
        } else {
            assert_eq!(refused(TaskDetails::parse(bad)).0, ErrorCode::InvalidAuthorizationDetails, "{bad}");
        }
    }
    let rules = vec!["{}"; 257].join(",");
    assert!(refused(parse(&format!(r#","purpose":"p","tools":[{rules}]"#))).1.contains("`tools`"));
    assert!(parse(&format!(r#","purpose":"p","tools":[{}]"#, &rules[3..])).is_ok());
}

proptest! {
    /// No member is ever taken silently: whatever is not in the list of members is refused by its name.
    #[test]
    fn unknown_members_are_refused(name in "[a-z_]{1,12}") {
        let known = ["type", "purpose", "instruction", "tools", "resources", "prompts", "limits", "expires_in", "deadline", "parent", "task"];
        prop_assume!(!known.contains(&name.as_str()));
        let (_, why) = refused(parse(&format!(r#","purpose":"p","{name}":1"#)));
        prop_assert!(why.contains(&format!("`{name}`")), "{}", why);
    }
}
