//! Reads and writes a registry with `oci-client`.

use std::{error::Error, fs, process::ExitCode};

use clients::{Outcome, end, login, words};
use oci_client::client::{Config, ImageData, ImageLayer};
use oci_client::manifest::{
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE,
};
use oci_client::{Client, Reference, secrets::RegistryAuth};

const LAYERS: [&str; 3] = [
    IMAGE_LAYER_MEDIA_TYPE,
    IMAGE_LAYER_GZIP_MEDIA_TYPE,
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
];

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the first to be set");
    end(run().await)
}

async fn run() -> Outcome {
    let client = Client::default();
    match words().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pull", image, file] => {
            let data = pull(&client, &image.parse()?).await?;
            fs::write(file, &data.layers[0].data)?;
        }
        ["push", file, image] => {
            let layer = ImageLayer::oci_v1(fs::read(file)?, None);
            push(
                &client,
                &image.parse()?,
                &[layer],
                Config::oci_v1("{}", None),
            )
            .await?;
        }
        ["copy", from, to] => {
            let data = pull(&client, &from.parse()?).await?;
            push(&client, &to.parse()?, &data.layers, data.config).await?;
        }
        ["inspect", image] => {
            let image = image.parse()?;
            println!(
                "{}",
                client.fetch_manifest_digest(&image, &auth(&image)).await?
            );
        }
        _ => return Err("usage: oci pull|push|copy|inspect ...".into()),
    }
    Ok(())
}

async fn pull(client: &Client, image: &Reference) -> Result<ImageData, Box<dyn Error>> {
    Ok(client.pull(image, &auth(image), LAYERS.to_vec()).await?)
}

async fn push(
    client: &Client,
    image: &Reference,
    layers: &[ImageLayer],
    config: Config,
) -> Outcome {
    client
        .push(image, layers, config, &auth(image), None)
        .await?;
    Ok(())
}

fn auth(image: &Reference) -> RegistryAuth {
    match login(image.resolve_registry()) {
        Some((user, password)) => RegistryAuth::Basic(user, password),
        None => RegistryAuth::Anonymous,
    }
}
