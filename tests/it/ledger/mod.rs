//! The ledger: what it promises, on each of its stores. Every test of `issuing`, `redeeming`, `keeping`, `sharing` and `usage`
//! runs on all of them; those of one store alone have its name.

mod issuing;
mod keeping;
mod postgres;
mod redeeming;
mod sharing;
mod sqlite;
pub mod usage;
pub mod world;

/// Makes of functions that take a [`world::World`] a test on each store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $name() {
                crate::ledger::world::run(async { super::$name(crate::ledger::world::World::sqlite()).await });
            })*
        }
        mod on_postgres {
            $(#[test]
            fn $name() {
                crate::ledger::world::run(async {
                    super::$name(crate::ledger::world::World::postgres().await).await
                });
            })*
        }
    };
}
use on_every_store;
