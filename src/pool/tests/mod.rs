//! The pool without Python: decisions one by one, decisions in every order, and real threads.

mod exploration;
mod roster;
mod threads;
