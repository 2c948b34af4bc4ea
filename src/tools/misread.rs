//! Requests whose params are not as their method has them. rmcp takes such a one for a method of somebody else's; its sender
//! is told what is wrong with it.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CancelTaskParams, CompleteRequestParams, CustomRequest, ErrorCode,
    GetPromptRequestParams, GetTaskParams, InitializeRequestParams, PaginatedRequestParams,
    ReadResourceRequestParams, UpdateTaskParams,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::text::brief;

/// Characters of what is wrong that are shown.
const SHOWN: usize = 200;

/// Why a request is not carried out that rmcp knows no method for.
pub fn refused(request: CustomRequest) -> ErrorData {
    let CustomRequest { method, params, .. } = request;
    let params = params.unwrap_or_default();
    let wrong = match method.as_str() {
        "initialize" => wrong::<InitializeRequestParams>(params),
        "tools/call" => wrong::<CallToolRequestParams>(params),
        "resources/read" => wrong::<ReadResourceRequestParams>(params),
        "prompts/get" => wrong::<GetPromptRequestParams>(params),
        "completion/complete" => wrong::<CompleteRequestParams>(params),
        "tasks/get" => wrong::<GetTaskParams>(params),
        "tasks/update" => wrong::<UpdateTaskParams>(params),
        "tasks/cancel" => wrong::<CancelTaskParams>(params),
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => {
            wrong::<PaginatedRequestParams>(params)
        }
        _ => return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None),
    };
    ErrorData::invalid_params(format!("{method}: {}", brief(&wrong, SHOWN)), None)
}

/// Every list is one page, to which no cursor leads.
pub fn only_page(page: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match page.and_then(|page| page.cursor).filter(|cursor| !cursor.is_empty()) {
        Some(_) => Err(ErrorData::invalid_params("this list has one page, and gave no cursor", None)),
        None => Ok(()),
    }
}

/// What is wrong with params of this kind.
fn wrong<P: DeserializeOwned>(params: Value) -> String {
    match (params.is_null(), serde_json::from_value::<P>(params)) {
        (true, _) => "it has no params".to_owned(),
        (_, Err(error)) => error.to_string(),
        (_, Ok(_)) => "its params are not as they should be".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_with_params_is_said_and_a_method_of_nobodys_is_not_there() {
        for (method, params, code, said) in [
            ("tools/call", Some(json!({})), -32602, "missing field `name`"),
            ("tools/call", Some(json!({ "name": 5 })), -32602, "expected a string"),
            ("tools/call", None, -32602, "no params"),
            ("resources/read", Some(json!({ "uri": 5 })), -32602, "expected a string"),
            ("prompts/get", Some(json!([])), -32602, "prompts/get: "),
            ("completion/complete", Some(json!({})), -32602, "missing field"),
            ("tools/list", Some(json!({ "cursor": 5 })), -32602, "expected a string"),
            ("reboot", Some(json!({})), -32601, "reboot"),
        ] {
            let error = refused(CustomRequest::new(method, params));
            assert_eq!(error.code.0, code, "{error:?}");
            assert!(error.message.contains(said), "{error:?}");
        }
        let page = |cursor: Option<&str>| {
            Some(PaginatedRequestParams::default().with_cursor(cursor.map(str::to_owned)))
        };
        for (page, is_good) in
            [(None, true), (page(None), true), (page(Some("")), true), (page(Some("zzz")), false)]
        {
            assert_eq!(only_page(page).is_ok(), is_good);
        }
    }
}
