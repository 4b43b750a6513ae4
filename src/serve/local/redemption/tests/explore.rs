//! The walk: depth first through every world that can be reached, each once.

use std::collections::HashSet;
use std::fmt;

use super::world::{Next, Rules, Step, World};

/// What a walk found.
pub struct Walk {
    /// How many different worlds there are.
    pub worlds: usize,
    /// In how many of them nothing more can happen.
    pub ends: usize,
    /// The first promise that was found broken; the walk ends there.
    pub broken: Option<Broken>,
}

/// A promise that does not hold, and how to get there.
pub struct Broken {
    /// The promise.
    pub promise: &'static str,
    steps: Vec<Step>,
    world: World,
}

/// Walks every world that `start` can become.
pub fn explore(start: World, next: Next, rules: Rules) -> Walk {
    let mut walk = Walk { worlds: 1, ends: 0, broken: None };
    let mut seen = HashSet::from([start.clone()]);
    // The worlds on the way to here, each with the steps from it that are still to be taken.
    let mut path: Vec<(Option<Step>, World, Vec<Step>)> = Vec::new();
    let steps = start.steps();
    path.push((None, start, steps));
    while let Some((_, world, steps)) = path.last_mut() {
        let Some(step) = steps.pop() else {
            path.pop();
            continue;
        };
        let mut reached = world.clone();
        let kept = reached.take(step, next, rules);
        if kept.is_ok() && !seen.insert(reached.clone()) {
            continue;
        }
        walk.worlds += 1;
        let steps = reached.steps();
        walk.ends += usize::from(steps.is_empty());
        if let Err(promise) = kept.and_then(|()| reached.check(next, rules)) {
            let mut steps: Vec<Step> = path.iter().filter_map(|(step, _, _)| *step).collect();
            steps.push(step);
            walk.broken = Some(Broken { promise, steps, world: reached });
            return walk;
        }
        path.push((Some(step), reached, steps));
    }
    walk
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.promise)?;
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        write!(f, "{:#?}", self.world)
    }
}
