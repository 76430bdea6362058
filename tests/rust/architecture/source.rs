//! Reads Rust sources as tokens: which modules they name, however it is spelled, and what they ask Python to import.
//!
//! Comments are no tokens, doc comments and the inside of strings are skipped. Names are followed through imports,
//! renaming, globs and re-exports, so that no spelling of a path hides what it leads to.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Module names from the crate's root, without `crate`.
pub(super) type Path = Vec<String>;

/// All sources together: what a name means in one file is often said in another.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// What each module has imported or re-exported: module and name, to the path as it is written there.
    imports: BTreeMap<(Path, String), Path>,
    /// The paths before each `::*`, as they are written, by module.
    globs: BTreeMap<Path, Vec<Path>>,
    /// Each `mod` that a module declares.
    children: BTreeSet<(Path, String)>,
    /// Names of constants and variables, with the strings in their values.
    constants: BTreeMap<String, Vec<String>>,
}

pub(super) struct File {
    /// Below `src/`, such as `py/lorawan/mod.rs`.
    pub(super) name: String,
    pub(super) module: Path,
    /// Lines without tests.
    pub(super) lines: usize,
    /// Each path in it, as it is written, with the module it stands in.
    written: Vec<(Path, Path)>,
    /// What stands within the parentheses of each call of an `import`.
    calls: Vec<Argument>,
    /// All strings but those in doc comments.
    pub(super) strings: Vec<String>,
    /// Whether it names pyo3 or a crate that builds on it.
    pub(super) names_python: bool,
}

#[derive(Default)]
struct Argument {
    names: Vec<String>,
    strings: Vec<String>,
}

impl Tree {
    /// Add a source.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut module: Path = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        let file = File {
            name: name.to_owned(),
            module: module.clone(),
            lines: text.lines().count(),
            written: Vec::new(),
            calls: Vec::new(),
            strings: Vec::new(),
            names_python: false,
        };
        self.files.push(file);
        self.read(&tokens.into_iter().collect::<Vec<_>>(), &module);
    }

    fn file(&mut self) -> &mut File {
        self.files.last_mut().expect("a file is being read")
    }

    fn read(&mut self, tokens: &[TokenTree], module: &Path) {
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += match (word(rest, 0).as_deref(), word(rest, 1)) {
                _ if punct(rest, 0, '#') && group(rest, 1, Delimiter::Bracket).is_some() => {
                    self.attribute(rest, 1, module);
                    2
                }
                _ if punct(rest, 0, '#') && punct(rest, 1, '!') => {
                    self.attribute(rest, 2, module);
                    3
                }
                // `impl Trait + use<'a>` imports nothing.
                (Some("use"), _) if !punct(rest, 1, '<') => self.import(rest, module),
                (Some("mod"), Some(name)) => {
                    self.children.insert((module.clone(), name.clone()));
                    if let Some(inner) = group(rest, 2, Delimiter::Brace) {
                        let inside = [module.as_slice(), &[name]].concat();
                        self.read(&inner, &inside);
                        3
                    } else {
                        2
                    }
                }
                (Some("const" | "static" | "let"), _) => {
                    self.constant(rest);
                    1
                }
                (Some(_), _) => self.path(rest, at > 0 && punct(tokens, at - 1, '.'), module),
                (None, _) if colons(rest, 0) => {
                    // `::name` is another crate's, and `<T as Trait>::Name` no module.
                    2 + usize::from(word(rest, 2).is_some())
                }
                _ => {
                    match &rest[0] {
                        TokenTree::Group(inner) => {
                            self.read(&inner.stream().into_iter().collect::<Vec<_>>(), module);
                        }
                        TokenTree::Literal(_) => {
                            if let Some(string) = string(&rest[0]) {
                                self.file().strings.push(string);
                            }
                        }
                        _ => {}
                    }
                    1
                }
            };
        }
    }

    /// Leave tests out of the count of lines; read attributes other than doc comments.
    fn attribute(&mut self, rest: &[TokenTree], at: usize, module: &Path) {
        let inner = group(rest, at, Delimiter::Bracket).unwrap_or_default();
        let within = group(&inner, 1, Delimiter::Parenthesis).unwrap_or_default();
        match word(&inner, 0).as_deref() {
            Some("doc") => {}
            Some("cfg") if within.len() == 1 && word(&within, 0).as_deref() == Some("test") => {
                let ends = |token: &&TokenTree| match token {
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
                    _ => false,
                };
                if let Some(end) = rest.iter().find(ends) {
                    self.file().lines -= end.span().end().line + 1 - rest[0].span().start().line;
                }
            }
            // `#[path = …] mod name;` would let a file stand where its name does not say.
            Some("path") => self.file().written.push((module.clone(), vec!["#[path]".to_owned()])),
            _ => self.read(&inner, module),
        }
    }

    /// Read a `use`; gives its length in tokens.
    fn import(&mut self, rest: &[TokenTree], module: &Path) -> usize {
        let end = (0..rest.len()).find(|&at| punct(rest, at, ';')).unwrap_or(rest.len());
        if !colons(rest, 1) {
            for (path, name) in branches(&rest[1..end], &[]) {
                match path.last().map(String::as_str) {
                    Some("*") => {
                        let before = path[..path.len() - 1].to_vec();
                        self.globs.entry(module.clone()).or_default().push(before);
                    }
                    // `use tokio;` and the like lead to another crate, or nowhere new.
                    _ if path.as_slice() == [name.as_str()] => {}
                    _ => {
                        self.imports.insert((module.clone(), name), path.clone());
                    }
                }
                self.name(module, path);
            }
        }
        end
    }

    /// Remember the strings in the value of a constant or a variable.
    fn constant(&mut self, rest: &[TokenTree]) {
        let name_at = (1..rest.len().min(3)).find(|&at| word(rest, at).is_some_and(|name| name != "mut"));
        let Some(name) = name_at.and_then(|at| word(rest, at)) else { return };
        let end = (0..rest.len()).find(|&at| punct(rest, at, ';')).unwrap_or(rest.len());
        if let Some(equals) = (0..end).find(|&at| punct(rest, at, '=')) {
            let mut value = Argument::default();
            value.read(&rest[equals..end]);
            self.constants.entry(name).or_default().append(&mut value.strings);
        }
    }

    /// Read the path that begins here; gives its length in tokens.
    fn path(&mut self, rest: &[TokenTree], is_member: bool, module: &Path) -> usize {
        let mut path: Path = word(rest, 0).into_iter().collect();
        let mut end = 1;
        while colons(rest, end) {
            if let Some(name) = word(rest, end + 2) {
                path.push(name);
                end += 3;
            } else if punct(rest, end + 2, '*') {
                path.push("*".to_owned());
                end += 3;
            } else {
                end += 2;
                break;
            }
        }
        if path.last().is_some_and(|name| name == "import" || name == "include") {
            // `import::<Class>(…)` has its type between.
            let within = if punct(rest, end, '<') { rest.len() } else { rest.len().min(end + 2) };
            let called = (end..within).find_map(|at| group(rest, at, Delimiter::Parenthesis));
            if path.last().is_some_and(|name| name == "include") && called.is_some() {
                self.file().written.push((module.clone(), vec!["include!".to_owned()]));
            } else if let Some(inner) = called {
                let mut argument = Argument::default();
                argument.read(&inner);
                self.file().calls.push(argument);
            }
        }
        if !is_member {
            self.name(module, path);
        }
        end
    }

    fn name(&mut self, module: &Path, path: Path) {
        let file = self.file();
        file.names_python |= path.iter().any(|name| name == "pyo3" || name == "pythonize");
        file.written.push((module.clone(), path));
    }

    /// Every path that a file names, each followed through re-exports: first as the file says it, then what it is.
    pub(super) fn named<'a>(&'a self, file: &'a File) -> impl Iterator<Item = Vec<Path>> + 'a {
        file.written.iter().filter_map(|(module, path)| {
            let mut forms = vec![self.absolute(module, path, 0)?];
            while let Some(next) = forms.last().and_then(|path| self.behind(path)) {
                if forms.contains(&next) || forms.len() > 8 {
                    break;
                }
                forms.push(next);
            }
            Some(forms)
        })
    }

    /// The modules that a file asks Python to import, as far as they are strings or names of strings.
    pub(super) fn asked(&self, file: &File) -> BTreeSet<String> {
        let of_name = |name: &String| self.constants.get(name).into_iter().flatten();
        file.calls
            .iter()
            .flat_map(|call| call.strings.iter().chain(call.names.iter().flat_map(of_name)))
            .cloned()
            .collect()
    }

    /// From the crate's root; nothing if it leads to another crate.
    fn absolute(&self, module: &Path, path: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let with = |base: &[String]| Some([base, rest].concat());
        match first.as_str() {
            "crate" => with(&[]),
            "self" => with(module),
            "super" => {
                let up = module[..module.len().saturating_sub(1)].to_vec();
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(&up, rest, depth),
                    _ => with(&up),
                }
            }
            "#[path]" | "include!" => with(std::slice::from_ref(first)),
            _ if depth > 8 => None,
            name => self.visible(module, name, depth).and_then(|base| with(&base)),
        }
    }

    /// What a plain name means in a module: an import of its own, a module in it, or something that a glob brought.
    fn visible(&self, module: &Path, name: &str, depth: usize) -> Option<Path> {
        let key = (module.clone(), name.to_owned());
        if let Some(path) = self.imports.get(&key) {
            // `use self::name::Name` and the like must not be looked up by themselves.
            return if path.first().is_some_and(|first| first == name) {
                self.children.contains(&key).then(|| [module.as_slice(), path].concat())
            } else {
                self.absolute(module, path, depth + 1)
            };
        }
        if self.children.contains(&key) {
            return Some([module.as_slice(), &[name.to_owned()]].concat());
        }
        self.globs.get(module).into_iter().flatten().find_map(|glob| {
            let from = self.absolute(module, glob, depth + 1)?;
            if from == *module || depth > 8 { None } else { self.visible(&from, name, depth + 1) }
        })
    }

    /// What stands behind the first re-export in an absolute path.
    fn behind(&self, path: &Path) -> Option<Path> {
        (0..path.len()).find_map(|at| {
            let (module, name) = (path[..at].to_vec(), path[at].clone());
            let is_module = self.children.contains(&(module.clone(), name.clone()));
            let found = if is_module { None } else { self.visible(&module, &name, 0) }?;
            Some([found.as_slice(), &path[at + 1..]].concat())
        })
    }
}

impl Argument {
    fn read(&mut self, tokens: &[TokenTree]) {
        for token in tokens {
            match token {
                TokenTree::Group(inner) => self.read(&inner.stream().into_iter().collect::<Vec<_>>()),
                TokenTree::Ident(name) => self.names.push(name.to_string()),
                TokenTree::Literal(_) => self.strings.extend(string(token)),
                TokenTree::Punct(_) => {}
            }
        }
    }
}

/// Each path of a `use`, and the name it has from there on.
fn branches(tokens: &[TokenTree], before: &[String]) -> Vec<(Path, String)> {
    let mut path = before.to_vec();
    let mut name = None;
    let mut at = 0;
    while at < tokens.len() {
        if let Some(inner) = group(tokens, at, Delimiter::Brace) {
            return inner
                .split(|token| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ','))
                .flat_map(|branch| branches(branch, &path))
                .collect();
        }
        match word(tokens, at).as_deref() {
            Some("as") => {
                name = word(tokens, at + 1);
                break;
            }
            Some("self") if !before.is_empty() && path.len() == before.len() => {}
            Some(segment) => path.push(segment.to_owned()),
            None if punct(tokens, at, '*') => path.push("*".to_owned()),
            None => {}
        }
        at += 1;
    }
    match name.or_else(|| path.last().cloned()) {
        Some(name) if !tokens.is_empty() => vec![(path, name)],
        _ => Vec::new(),
    }
}

fn word(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at)? {
        TokenTree::Ident(name) => Some(name.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

fn punct(tokens: &[TokenTree], at: usize, sign: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(found)) if found.as_char() == sign)
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    punct(tokens, at, ':') && punct(tokens, at + 1, ':')
}

fn group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match tokens.get(at)? {
        TokenTree::Group(found) if found.delimiter() == delimiter => Some(found.stream().into_iter().collect()),
        _ => None,
    }
}

/// What a string literal of any kind has between its quotation marks.
fn string(token: &TokenTree) -> Option<String> {
    let text = token.to_string();
    let inner = text.trim_start_matches(['b', 'c', 'r']).trim_start_matches('#').strip_prefix('"')?;
    Some(inner.trim_end_matches('#').strip_suffix('"')?.to_owned())
}
