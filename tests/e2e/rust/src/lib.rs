//! What the programs share.

use std::{env, error::Error, process::ExitCode};

use docker_credential::{DockerCredential, get_credential};

pub type Outcome = Result<(), Box<dyn Error>>;

/// The words after the program's name.
pub fn words() -> Vec<String> {
    env::args().skip(1).collect()
}

/// Ends a program, with the error for its user to read.
pub fn end(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// User and password for a registry, as `docker_credential` finds them by config.json.
///
/// Its errors do not tell "not found" from any other, so that each is a warning, as in `wkg`.
pub fn login(registry: &str) -> Option<(String, String)> {
    match get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Some((user, password)),
        Ok(DockerCredential::IdentityToken(_)) => None,
        Err(error) => {
            eprintln!("warning: {error}");
            None
        }
    }
}
