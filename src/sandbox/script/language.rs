//! The language that scripts have, and what is changed of it so that no function of its own goes on for long.

use rquickjs::context::intrinsic;

/// Everything that a payload function needs from the language; nothing here reads files, clocks apart, or the network.
pub(super) type Language = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::Promise,
    intrinsic::RegExp,
    intrinsic::RegExpCompiler,
    intrinsic::TypedArrays,
);

/// Collects what is printed, as JSON texts.
pub(super) const CONSOLE: &str = "var __logs = [];
var console = { log: function () {
  __logs.push(Array.prototype.map.call(arguments, function (value) {
    var text = JSON.stringify(value);
    return text === undefined ? 'null' : text;
  }));
} };";

/// The engine looks at the clock between the steps of a script, and only after thousands of them; a function of its own,
/// such as the joining of an array, is one step. So each of these looks by itself, and arrays have a longest length.
///
/// Takes when the time ends, what is called before the engine compiles and after it, and the name under which code that is
/// compiled calls the latter first.
pub(super) const BOUNDS: &str = "(function (end, compile, run, name) {
  'use strict';
  var now = Date.now, most = 65536, define = Object.defineProperty, names = Object.getOwnPropertyNames;
  var describe = Object.getOwnPropertyDescriptor, list = Array.isArray, words = String;
  var apply = Function.prototype.call.bind(Function.prototype.apply);
  function look() {
    if (now() > end) { throw new RangeError('it took too long'); }
  }
  function short(value) {
    if (value === null || typeof value !== 'object' && typeof value !== 'function') { return; }
    var length = describe(value, 'length');
    if (length && length.get) { throw new TypeError('length is not a plain number'); }
    if (value.length > most) { throw new RangeError('an array of more than ' + most + ' elements'); }
  }
  function bound(owner, check, some) {
    (some || names(owner)).forEach(function (name) {
      var its = describe(owner, name), native = its.value;
      if (typeof native !== 'function' || name === 'constructor' || !its.configurable) { return; }
      function bounded() {
        look();
        for (var at = 0; at < arguments.length; at++) { if (list(arguments[at])) { short(arguments[at]); } }
        if (check) { apply(check, this, arguments); }
        return apply(native, this, arguments);
      }
      define(bounded, 'name', { value: name });
      define(bounded, 'length', { value: native.length });
      define(owner, name, { value: bounded, writable: true, enumerable: false, configurable: true });
    });
  }
  [Array, Object, String, JSON, Reflect, Map.prototype, Set.prototype, RegExp.prototype,
    Object.getPrototypeOf(Uint8Array), Object.getPrototypeOf(Uint8Array.prototype)].forEach(function (owner) {
    bound(owner);
  });
  bound(String.prototype, function (other) {
    if (typeof other === 'object' && !(other instanceof RegExp)) { other = words(other); }
    if (typeof other === 'string' && this !== null && this !== undefined
        && words(this).length * other.length > 100 * most) {
      throw new RangeError('texts too long to look for one in the other');
    }
  });
  bound(Array.prototype, function () { short(this); });
  bound(globalThis, null, ['decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'escape', 'unescape',
    'parseInt', 'parseFloat']);
  // What is compiled has the memory that it takes, and begins by saying that it is.
  var longest = 10000, strict = /^\\s*(?:'use strict'|\"use strict\")/, matches = RegExp.prototype.test;
  define(globalThis, name, { value: run });
  // Code of the script would be called while the engine makes the error of code that is wrong.
  define(Error, 'prepareStackTrace', { get: function () {}, set: function () {}, configurable: false });
  function compiling(native, runs) {
    return function () {
      look();
      var size = 0, texts = { __proto__: null, length: arguments.length };
      for (var at = 0; at < arguments.length; at++) { texts[at] = words(arguments[at]); size += texts[at].length; }
      if (size > longest) { throw new RangeError('code of more than ' + longest + ' characters'); }
      if (runs) { texts[0] = (apply(matches, strict, texts) ? '\"use strict\";' : '') + name + '();' + texts[0]; }
      compile();
      try { return apply(native, this, texts); } finally { run(); }
    };
  }
  var its = eval, guarded = compiling(its, true);
  globalThis.eval = function (code) { return typeof code === 'string' ? guarded(code) : code; };
  [function () {}, function* () {}, async function () {}, async function* () {}].forEach(function (one) {
    var kind = Object.getPrototypeOf(one), make = compiling(kind.constructor, false);
    define(make, 'name', { value: kind.constructor.name });
    define(make, 'prototype', { value: kind });
    define(kind, 'constructor', { value: make, writable: true, enumerable: false, configurable: true });
  });
  globalThis.Function = (function () {}).constructor;
})";
