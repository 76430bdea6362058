//! What a callable takes, read off its signature, and how it can be called.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::leaving;

/// Flags of a code object.
const VARIABLE: u32 = 0x04;
const KEYWORDS: u32 = 0x08;
const GENERATOR: u32 = 0x20;
pub(super) const AWAITABLE_GENERATOR: u32 = 0x100;
const ASYNC_GENERATOR: u32 = 0x200;

/// The parameters of a callable.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    /// Those that may come by position.
    positional: Vec<Parameter>,
    /// Whether any number may come by position.
    variable: bool,
    /// Those that come by keyword alone.
    keywords: Vec<Parameter>,
    /// Whether any keyword may come.
    any_keyword: bool,
}

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    /// It has no default.
    required: bool,
    /// It may come by keyword.
    by_name: bool,
}

/// How to call a callable: its arguments, as `"msg, client"`; those that are given by keyword end in `=`.
pub(super) type Form<'a> = &'a str;

/// The names of those arguments that are given by position.
pub(super) fn by_position(form: Form<'_>) -> impl Iterator<Item = &str> {
    form.split(", ").filter(|name| !name.is_empty() && !name.ends_with('='))
}

fn by_keyword(form: Form<'_>) -> impl Iterator<Item = &str> {
    form.split(", ").filter_map(|name| name.strip_suffix('='))
}

/// The first of these forms in which the callable can be called, by its place. Builtins that tell nothing of their parameters
/// get the first one.
///
/// A `TypeError` if there is none, or if a call would run nothing of it.
pub(super) fn fitting(callable: &Bound<'_, PyAny>, forms: &[Form<'_>]) -> PyResult<usize> {
    if let Some(kind) = generator(callable)? {
        let text = format!(
            "callback {} is {kind}, which a call only makes and does not run: expected a function or a coroutine function",
            callable.repr()?
        );
        return Err(PyTypeError::new_err(text));
    }
    // What is called is the outermost function; what it wraps tells what it is meant to get.
    let (outer, inner) = match plain_function(callable)? {
        Some(signature) => (Some(signature), None),
        None => (Signature::read(callable, false)?, Signature::read(callable, true)?),
    };
    let Some(outer) = outer else { return Ok(0) };
    let works = |form: &&Form<'_>| outer.takes(form);
    let meant = |form: &&Form<'_>| inner.as_ref().is_none_or(|inner| inner.takes(form));
    let place = |found: &Form<'_>| forms.iter().position(|form| form == found);
    let found = forms.iter().find(|form| works(form) && meant(form)).or_else(|| forms.iter().find(works));
    found.and_then(place).ok_or_else(|| {
        let (shown, expected) =
            (callable.repr().map_or_else(|_| "?".into(), |shown| shown.to_string()), in_words(forms));
        PyTypeError::new_err(format!("callback {shown} cannot be called with what it would get: expected {expected}"))
    })
}

/// Forms as a program writes them.
fn in_words(forms: &[Form<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for form in forms {
        // Beside the same arguments by position, that they may come by keyword is no news.
        if !(form.contains('=') && forms.contains(&form.replace('=', "").as_str())) {
            words.push(format!("callback({})", form.replace('=', "=…")));
        }
    }
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => words.concat(),
    }
}

impl Signature {
    /// Read it; `None` for builtins that tell nothing.
    pub(super) fn of(callable: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        leaving::within(callable.py(), || match plain_function(callable)? {
            Some(signature) => Ok(Some(signature)),
            None => Self::read(callable, true),
        })
    }

    fn read(callable: &Bound<'_, PyAny>, of_what_is_wrapped: bool) -> PyResult<Option<Self>> {
        let inspect = callable.py().import("inspect")?;
        let options = PyDict::new(callable.py());
        options.set_item("follow_wrapped", of_what_is_wrapped)?;
        let Ok(signature) = inspect.call_method("signature", (callable,), Some(&options)) else { return Ok(None) };
        let empty = inspect.getattr("Parameter")?.getattr("empty")?;
        let mut found = Self::default();
        for parameter in signature.getattr("parameters")?.call_method0("values")?.try_iter()? {
            let parameter = parameter?;
            let kind: String = parameter.getattr("kind")?.getattr("name")?.extract()?;
            let one = Parameter {
                name: parameter.getattr("name")?.extract()?,
                required: parameter.getattr("default")?.is(&empty),
                by_name: kind != "POSITIONAL_ONLY",
            };
            match kind.as_str() {
                "POSITIONAL_ONLY" | "POSITIONAL_OR_KEYWORD" => found.positional.push(one),
                "VAR_POSITIONAL" => found.variable = true,
                "KEYWORD_ONLY" => found.keywords.push(one),
                _ => found.any_keyword = true,
            }
        }
        Ok(Some(found))
    }

    /// Whether a parameter of that name can be given by keyword.
    pub(super) fn names(&self, name: &str) -> bool {
        self.positional.iter().chain(&self.keywords).any(|known| known.by_name && known.name == name)
    }

    /// The place of a parameter that may come by position.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.positional.iter().position(|known| known.name == name)
    }

    /// Whether it can be called so.
    pub(super) fn takes(&self, form: Form<'_>) -> bool {
        let count = by_position(form).count();
        let (given, left) = self.positional.split_at(count.min(self.positional.len()));
        let named = |parameters: &[Parameter], name: &str| parameters.iter().any(|one| one.by_name && one.name == name);
        let known = |name: &str| named(left, name) || named(&self.keywords, name) || self.any_keyword;
        let is_given = |one: &Parameter| !one.required || one.by_name && by_keyword(form).any(|name| name == one.name);
        (self.variable || count <= self.positional.len())
            && by_keyword(form).all(|name| !named(given, name) && known(name))
            && left.iter().chain(&self.keywords).all(is_given)
    }
}

/// The function that a call ends in, if it is written in Python.
fn written<'py>(callable: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut function = callable.clone();
    loop {
        function = match function.get_type().name()?.to_str()? {
            "function" => return Ok(Some(function)),
            "method" => function.getattr("__func__")?,
            "partial" | "partialmethod" => match function.getattr("func") {
                Ok(inner) => inner,
                Err(_) => return Ok(None),
            },
            _ => match function.get_type().getattr("__call__") {
                Ok(call) if call.get_type().name()? == "function" => call,
                _ => return Ok(None),
            },
        };
    }
}

/// What kind of generator function it is, if it is one: a call of it runs nothing.
fn generator(callable: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    let Some(code) = written(callable)?.and_then(|function| function.getattr("__code__").ok()) else { return Ok(None) };
    let flags: u32 = code.getattr("co_flags")?.extract()?;
    Ok(if flags & ASYNC_GENERATOR != 0 {
        Some("an asynchronous generator function")
    } else if flags & GENERATOR != 0 && flags & AWAITABLE_GENERATOR == 0 {
        Some("a generator function")
    } else {
        None
    })
}

/// The signature of functions and methods written in Python, without the cost of importing `inspect`.
fn plain_function(callable: &Bound<'_, PyAny>) -> PyResult<Option<Signature>> {
    let kind = callable.get_type().name()?.to_string();
    if callable.hasattr("__wrapped__")? || callable.hasattr("__signature__")? {
        return Ok(None);
    }
    let (function, bound) = match kind.as_str() {
        "function" => (callable.clone(), 0),
        "method" => (callable.getattr("__func__")?, 1),
        _ => return Ok(None),
    };
    let Ok(code) = function.getattr("__code__") else { return Ok(None) };
    let number = |name: &str| -> PyResult<usize> { code.getattr(name)?.extract() };
    let (count, only_by_position, only_by_name) =
        (number("co_argcount")?, number("co_posonlyargcount")?, number("co_kwonlyargcount")?);
    let flags: u32 = code.getattr("co_flags")?.extract()?;
    let names: Vec<String> = code.getattr("co_varnames")?.cast::<PyTuple>()?.extract()?;
    let defaults = function.getattr("__defaults__")?;
    let defaults = if defaults.is_none() { 0 } else { defaults.len()? };
    let keyword_defaults = function.getattr("__kwdefaults__")?;
    let variable = flags & VARIABLE != 0;
    if count + only_by_name > names.len() || bound > count && !variable {
        return Ok(None);
    }
    let mut positional = Vec::new();
    for (at, name) in names.iter().enumerate().take(count).skip(bound) {
        let required = at + defaults < count;
        positional.push(Parameter { name: name.clone(), required, by_name: at >= only_by_position });
    }
    let mut keywords = Vec::new();
    for name in names.iter().skip(count).take(only_by_name) {
        let required = keyword_defaults.is_none() || !keyword_defaults.contains(name)?;
        keywords.push(Parameter { name: name.clone(), required, by_name: true });
    }
    Ok(Some(Signature { positional, variable, keywords, any_keyword: flags & KEYWORDS != 0 }))
}
