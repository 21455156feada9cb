//! Plots, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::measured::Measured;
use super::{HOLDERS, SIZES};

const COLOURS: [RGBColor; 7] = [
    RGBColor(200, 30, 30),
    RGBColor(240, 150, 40),
    RGBColor(30, 110, 180),
    RGBColor(90, 90, 90),
    RGBColor(40, 150, 80),
    RGBColor(130, 80, 170),
    RGBColor(150, 110, 60),
];

/// What a check costs, over the size of the list; both in powers of ten.
pub(super) fn checks(measured: &Measured, file: &Path) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("the plot can't be drawn: {error}");
    let lines: Vec<(&str, Vec<(f64, f64)>)> = HOLDERS
        .iter()
        .map(|(holder, name)| {
            let at = |size: &u64| Some((*size as f64, measured.of(&format!("check/one/{size}/{holder}"))?));
            (*name, SIZES.iter().filter_map(at).collect())
        })
        .collect();
    let root = SVGBackend::new(file, (860, 460)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d((8e3..1.3e7_f64).log_scale(), (1.0..10_000.0_f64).log_scale())
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .x_desc("numbers on the list")
        .y_desc("ns a check")
        .draw()
        .map_err(|error| failed(&error))?;
    for ((name, points), colour) in lines.into_iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(|error| failed(&error))?
            .label(name.replace('`', ""))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))
}
