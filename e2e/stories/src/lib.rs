//! The demo, the stories and the bench: what a user was promised, shown on the running stack from the stores themselves.
//!
//! Knows the product only from outside: its kinds, charts, images and HTTP interface. From the inside out: [`stack`]
//! (where everything is), [`world`] (hands on everything), [`shop`] (a pipeline with a namespace of its own), [`account`]
//! (what became of every event), and on top of these [`demo`], [`tests`] and [`bench`].

pub mod account;
pub mod bench;
pub mod cluster;
pub mod dbt_image;
pub mod demo;
pub mod doors;
pub mod entrance;
pub mod event;
pub mod function;
pub mod gateway;
pub mod helm;
pub mod kafka;
pub mod kill;
pub mod leader;
pub mod leaks;
pub mod news;
pub mod progress;
pub mod purchases;
pub mod recorder;
pub mod referee;
pub mod reference;
pub mod secrets_extension;
pub mod shop;
pub mod stack;
pub mod stores;
pub mod tests;
pub mod visibility;
pub mod waiting;
pub mod warehouse;
pub mod world;
