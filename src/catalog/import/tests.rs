use super::{ImportError, MAX_BYTES, lines, script};
use crate::catalog::{Kind, Method, Permission, testing};

/// An array of one endpoint, `GET /version`.
const ONE: &str = r#"[{"path": "/version", "info": {"GET": {"returns": {"type": "object"}, "permissions": {"user": "all"}}}}]"#;

fn one(source: &str) {
    let catalog = script(source.as_bytes()).unwrap_or_else(|error| panic!("{error}: {source}"));
    assert_eq!(catalog.endpoints().len(), 1, "{source}");
    assert_eq!(
        (catalog.endpoints()[0].method, catalog.endpoints()[0].path.as_str()),
        (Method::Get, "/version")
    );
}

#[test]
fn a_script_of_each_release_reads_as_what_it_was_made_from() {
    for (release, catalog) in testing::catalogs() {
        let read = script(catalog.to_script().as_bytes()).unwrap();
        for (read, made) in read.endpoints().iter().zip(catalog.endpoints()) {
            assert_eq!(read, made, "{}", release.name());
        }
        assert!(read == *catalog, "{}", release.name());
    }
}

#[test]
fn the_files_of_real_nodes_are_read_whole() {
    for (release, source) in testing::real_scripts() {
        let catalog = script(&source).unwrap();
        assert!(catalog.endpoints().len() > 600, "{}", release.name());
        let described =
            catalog.endpoints().iter().filter(|endpoint| !endpoint.description.is_empty()).count();
        assert!(described * 10 > catalog.endpoints().len() * 9, "{}: {described}", release.name());
        // And as what another program would make of the same description.
        let again = script(catalog.to_script().as_bytes()).unwrap();
        assert!(again == catalog, "{}", release.name());
    }
}

#[test]
fn what_stands_around_the_array_does_not_mislead() {
    for before in [
        "",
        "\u{feff}",
        "// apiSchema = [1, 2]\n",
        "/* const apiSchema = [ */",
        "/* \" */ // '\n",
        "const other = [1, [2], \"]\"];\n",
        "const text = 'apiSchema = [';\n",
        "const text = \"\\\" apiSchema = [\";\n",
        "const text = `\napiSchema = [\n`;\n",
        "const regex = /[/\"'`]apiSchema = [/;\n",
        "const half = 4 / 2; /* ' */\n",
        "notapiSchema = [1]; apiSchema2 = [1]; apiSchema == [1]; apiSchema.x = [1];\n",
        "const nothing = apiSchema;\n",
        "let unfinished = \"a line ends it\n",
    ] {
        for after in ["", ";", "\n;\n\nlet x = ']';", " // ]", "; apiSchema = [];", "\0\u{1}"] {
            for name in
                ["const apiSchema = ", "var apiSchema=\n", "var pveapi =", "apiSchema /* [ */ = // [\n"]
            {
                one(&format!("{before}{name}{ONE}{after}"));
            }
        }
    }
}

#[test]
fn what_is_no_api_description_says_so() {
    for source in
        ["", "{}", "[]", "const apiSchema = {", "const other = []", "// apiSchema = [", "<html>", "apiSchema"]
    {
        assert!(matches!(script(source.as_bytes()), Err(ImportError::NoArray)), "{source}");
    }
    assert!(matches!(script(b"apiSchema = []"), Err(ImportError::Empty)));
    assert!(matches!(lines(b"\n\n"), Err(ImportError::Empty)));
    let bytes = vec![b' '; MAX_BYTES + 1];
    assert!(matches!(script(&bytes), Err(ImportError::TooLong { .. })));
}

#[test]
fn a_mistake_is_named_by_its_place_in_the_file() {
    for (source, place) in [
        (&b"\n\napiSchema = [\n{\"path\": 1x}]"[..], (4, 11)),
        (b"apiSchema = [{\"path\": \"/a\", \"info\": 5}]", (1, 37)),
        (b"apiSchema = [{\"path\": \"/a\"", (1, 26)),
        (b"apiSchema = [{\"path\": \"/a\xff\"}]", (1, 26)),
    ] {
        match script(source) {
            Err(ImportError::Json { line, column, .. }) => assert_eq!((line, column), place, "{source:?}"),
            other => panic!("{source:?}: {other:?}"),
        }
    }
}

#[test]
fn depth_is_bounded() {
    let deep = format!("apiSchema = {}{}", "[{\"path\":\"/a\",\"children\":".repeat(100_000), "]");
    assert!(
        matches!(script(deep.as_bytes()), Err(ImportError::Json { problem, .. }) if problem.contains("recursion"))
    );
    let items = "{\"items\":".repeat(100_000);
    let deep = format!("apiSchema = [{{\"path\":\"/a\",\"info\":{{\"GET\":{{\"returns\":{items}");
    assert!(
        matches!(script(deep.as_bytes()), Err(ImportError::Json { problem, .. }) if problem.contains("recursion"))
    );
}

#[test]
fn a_path_that_is_none_is_refused() {
    for path in ["", "version", "/", "/a//b", "/a/../b", "/a b", "/a%2f", "/{}", "/a/{b}c", "/a?b", "/a\\n"] {
        let source = ONE.replace("/version", path);
        assert!(
            matches!(script(format!("apiSchema = {source}").as_bytes()), Err(ImportError::Path { .. })),
            "{path}"
        );
    }
}

#[test]
fn perls_ways_with_types_are_known() {
    let source = r#"apiSchema = [{"path": "/a/{id}", "leaf": 1, "unknown": [{"deep": null}], "info": {
        "PATCH": {},
        "POST": {"method": "POST", "protected": "1", "proxyto": null, "parameters": {
            "additionalProperties": 0, "properties": {
                "count": {"type": "integer", "minimum": "0", "maximum": 5.5, "optional": "1", "default": null},
                "net[n]": {"type": "string", "enum": null, "properties": []},
                "typeless": {"enum": ["a", 2]}
            }}}}}]"#;
    let catalog = script(source.as_bytes()).unwrap();
    let [endpoint] = catalog.endpoints() else { panic!("one endpoint") };
    assert!(endpoint.protected && !endpoint.allowtoken && !endpoint.additional && endpoint.proxyto.is_none());
    assert_eq!(endpoint.permission, Permission::Root);
    assert_eq!((endpoint.returns.kind, endpoint.parameters.len()), (Kind::Any, 4));
    let count = &endpoint.parameter("count").unwrap();
    assert_eq!((count.schema.minimum, count.schema.maximum, count.optional), (Some(0.0), Some(5.5), true));
    assert_eq!(count.schema.default, None);
    assert!(!endpoint.parameter("id").unwrap().optional, "a parameter of the path that nobody described");
    assert!(endpoint.parameter("net7").unwrap().family);
    assert_eq!(endpoint.parameter("typeless").unwrap().schema.choices, ["a", "2"]);
}

#[test]
fn what_many_endpoints_take_is_held_once() {
    let catalog = testing::catalogs()
        .last()
        .map(|(_, catalog)| script(catalog.to_script().as_bytes()).unwrap())
        .unwrap();
    let nodes: Vec<_> = catalog
        .endpoints()
        .iter()
        .flat_map(|endpoint| &endpoint.parameters)
        .filter(|it| it.name == "node")
        .collect();
    let mut different: Vec<_> = nodes.iter().map(|node| std::sync::Arc::as_ptr(node)).collect();
    different.sort();
    different.dedup();
    assert!(nodes.len() > 250 && different.len() < 10, "{} of {}", different.len(), nodes.len());
}

/// As the products that are written in Rust describe themselves: patterns between slashes, property strings as whole schemas,
/// permissions as a tree, no `allowtoken`.
#[test]
fn a_description_that_rust_wrote_is_read_too() {
    let source = r#"var apiSchema = [{"path": "/admin/datastore/{store}/prune", "leaf": 1, "text": "prune", "info": {"POST": {
        "method": "POST", "description": "Prunes.",
        "parameters": {"additionalProperties": false, "description": "x", "properties": {
            "store": {"type": "string", "description": "", "pattern": "/^(?:[A-Za-z0-9_]+)$/", "minLength": 3},
            "keep-last": {"type": "integer", "minimum": 1, "optional": 1},
            "tuning": {"type": "string", "optional": 1, "typetext": "[a=<x>]", "format": {
                "type": "object", "description": "of a whole", "additionalProperties": false, "default_key": "order",
                "properties": {"order": {"type": "string", "enum": ["none", "inode"]}, "sync": {"type": "boolean", "optional": 1}}}},
            "filter": {"type": "string", "optional": 1, "format": {"type": "array", "description": "", "items": {"type": "string"}}}}},
        "permissions": {"description": "own backups alone", "and": [
            {"check": {"path": ["datastore", "{store}"], "privs": ["Datastore.Prune", "Datastore.Modify"], "partial": true}},
            {"or": [{"userParam": "userid"}, {"check": {"path": ["access", "users"], "privs": ["Sys.Audit"], "partial": false}}]}]},
        "returns": {"type": "array", "description": "", "items": {"type": "null"}}}}, "children": []}];"#;
    let catalog = script(source.as_bytes()).unwrap().of_product(crate::product::Product::Backup);
    let endpoint = &catalog.endpoints()[0];
    assert!(endpoint.allowtoken && endpoint.product == crate::product::Product::Backup);
    let parameter = |name| endpoint.parameter(name).unwrap();
    assert_eq!(parameter("store").schema.pattern.as_deref(), Some("^(?:[A-Za-z0-9_]+)$"));
    let crate::catalog::Format::Properties(keys) = parameter("tuning").schema.format.as_ref().unwrap() else {
        panic!("no keys")
    };
    assert_eq!(
        keys.iter().map(|key| (key.parameter.name.as_str(), key.is_default)).collect::<Vec<_>>(),
        [("order", true), ("sync", false)]
    );
    assert_eq!(
        endpoint.privileges(),
        "Datastore.Prune|Datastore.Modify on /datastore/{store} and (the user itself or Sys.Audit on /access/users)"
    );
    let check = |args: serde_json::Value| endpoint.check(args.as_object().unwrap());
    assert!(check(serde_json::json!({ "store": "tank", "tuning": "none,sync=1", "filter": "a,b" })).is_ok());
    assert!(check(serde_json::json!({ "store": "t/ank" })).is_err());
    assert!(check(serde_json::json!({ "store": "tank", "tuning": "order=x" })).is_err());
}
