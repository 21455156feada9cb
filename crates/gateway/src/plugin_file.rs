//! `portcullis plugin verify`, `inspect`, `component` and `replay`: a plugin's file, without a gateway.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use portcullis_cli::{
    PluginComponentOptions, PluginFileCommand, PluginFileReport, PluginInspectOptions, PluginReplayOptions,
    PluginVerifyOptions,
};
use portcullis_host::{Bound, Compiler, Engine, ForeignText, Limits};
use portcullis_plugin_bundle::{EXACT, SHIPPED};
use portcullis_plugin_verify::{Inspection, ReplayRequest, Request, componentize, inspect, replay, verify};
use serde_json::Value;

/// The largest file that is read, in bytes.
const MOST: u64 = 1 << 30;

/// Does what a command says about a plugin's file.
///
/// # Errors
/// If a file can't be read or written, or the command makes no sense.
pub(crate) fn examine(command: &PluginFileCommand) -> anyhow::Result<PluginFileReport> {
    match command {
        PluginFileCommand::Verify(options) => verified(options),
        PluginFileCommand::Inspect(PluginInspectOptions { file, .. }) => {
            let found = inspect(&read(file)?);
            let is_good = found.problem.is_none();
            Ok(PluginFileReport { lines: lines(&found), json: serde_json::to_value(&found)?, is_good })
        }
        PluginFileCommand::Replay(options) => replayed(options),
        PluginFileCommand::Component(PluginComponentOptions { module, output }) => {
            let component = componentize(&read(module)?)
                .with_context(|| format!("no component can be made of {}", module.display()))?;
            fs::write(output, component).with_context(|| format!("can't write {}", output.display()))?;
            Ok(PluginFileReport { lines: Vec::new(), json: Value::Null, is_good: true })
        }
    }
}

fn replayed(options: &PluginReplayOptions) -> anyhow::Result<PluginFileReport> {
    let recording = String::from_utf8(read(&options.file)?)
        .with_context(|| format!("{} is no recording: it is not text", options.file.display()))?;
    let built_in = SHIPPED.iter().find(|plugin| plugin.name == options.plugin);
    let (name, component) = match built_in {
        Some(plugin) => (plugin.name.to_owned(), plugin.component.to_vec()),
        None => {
            let file = Path::new(&options.plugin);
            // A name rather than a path.
            if file.components().count() == 1 && file.extension().is_none() && !file.exists() {
                let known: Vec<&str> = SHIPPED.iter().map(|plugin| plugin.name).collect();
                bail!(
                    "there is no built-in plugin {}, and no file of this name; built in are {}",
                    ForeignText(&options.plugin),
                    known.join(", ")
                );
            }
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (name, read(file)?)
        }
    };
    let engine = Engine::new()?.with_compiler(Compiler::this_program());
    engine.compile_eagerly(true);
    let found = replay(
        &engine,
        &ReplayRequest {
            component: &component,
            name: &name,
            options: &serde_json::to_string(&options.options)?,
            recording: &recording,
        },
    )?;
    Ok(PluginFileReport { lines: found.lines(), json: serde_json::to_value(&found)?, is_good: true })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("can't read {}", path.display()))?;
    if bytes.len() as u64 > MOST {
        bail!("{} has more than 1 GiB", path.display());
    }
    Ok(bytes)
}

fn verified(options: &PluginVerifyOptions) -> anyhow::Result<PluginFileReport> {
    let mut limits = Limits::default();
    for (name, value) in &options.limits {
        Bound::named(name)?.set(&mut limits, *value);
    }
    let component = read(&options.file)?;
    let name = options.file.file_stem().unwrap_or_default().to_string_lossy();
    let engine = Engine::new()?.with_compiler(Compiler::this_program());
    // Nobody waits for a processor.
    engine.compile_eagerly(true);
    let report = verify(
        &engine,
        &Request {
            component: &component,
            name: &name,
            limits,
            options: &serde_json::to_string(&options.options)?,
            beside: options.bench.then_some(EXACT.component),
        },
    );
    Ok(PluginFileReport {
        lines: report.lines(),
        json: serde_json::to_value(&report)?,
        is_good: report.is_good(),
    })
}

fn lines(found: &Inspection) -> Vec<String> {
    let wrong = found.problem.iter().map(|problem| format!("wrong: {problem}"));
    // Nothing of it could be read.
    if found.sections.is_empty() && found.problem.is_some() {
        return wrong.collect();
    }
    let mut lines = vec![format!(
        "{} bytes, {} inside it: {} modules, {} components",
        found.bytes,
        found.modules + found.components,
        found.modules,
        found.components
    )];
    if found.is_module {
        lines.push(
            "a core module: `portcullis plugin component` makes a component of one that exports the contract"
                .to_owned(),
        );
    } else if found.kinds.is_empty() {
        lines.push("no plugin: it exports no interface of a plugin".to_owned());
    }
    let contracts = found.kinds.iter().map(|kind| kind.contract());
    lines.extend(contracts.map(|contract| format!("a plugin: the contract here is {contract}")));
    lines.extend(found.exports.iter().map(|item| format!("exports {} {}", item.is, item.name)));
    if found.imports.is_empty() && found.problem.is_none() && !found.is_module {
        lines.push("imports nothing".to_owned());
    }
    lines.extend(found.imports.iter().map(|item| format!("imports {} {}", item.is, item.name)));
    let memory: u64 = found.memory_bytes.iter().sum();
    lines.push(format!("memory at its start: {memory} bytes in {} memories", found.memory_bytes.len()));
    for (field, values) in &found.producers {
        lines.push(format!("{field}: {}", values.join(", ")));
    }
    for section in &found.sections {
        lines.push(format!("{:>10} bytes in {:>3} of {}", section.bytes, section.count, section.name));
    }
    lines.extend(wrong);
    lines
}
