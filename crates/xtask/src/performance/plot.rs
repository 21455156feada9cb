//! Plots in SVG format.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::measured::Measured;
use super::{BATCHES, HOLDERS, SIZES};

const COLOURS: [RGBColor; 7] = [
    RGBColor(200, 30, 30),
    RGBColor(240, 150, 40),
    RGBColor(30, 110, 180),
    RGBColor(90, 90, 90),
    RGBColor(40, 150, 80),
    RGBColor(130, 80, 170),
    RGBColor(150, 110, 60),
];

/// Plots the cost of a check over the size of the list.
pub(super) fn checks(measured: &Measured, file: &Path) -> Result<()> {
    let lines = HOLDERS.map(|(holder, name)| {
        let at = |size: u64| Some((size as f64, measured.of(&format!("check/one/{size}/{holder}"))?));
        (name.replace('`', ""), SIZES.into_iter().filter_map(at).collect())
    });
    let plot = Plot { x: "numbers on the list", within: 8e3..1.3e7, y: "ns per check", up_to: 10_000.0 };
    plot.draw(&lines, file)
}

/// Plots the cost per number of a batch over the size of the batch.
pub(super) fn batches(measured: &Measured, file: &Path) -> Result<()> {
    let size = 1_000_000;
    let lines = [HOLDERS[0], HOLDERS[1], HOLDERS[2]].map(|(holder, name)| {
        let at = |batch: u64| {
            let cost = measured.of(&format!("check/batch/{size}/{holder}/{batch}"))?;
            Some((batch as f64, cost / batch as f64))
        };
        (name.replace('`', ""), BATCHES.into_iter().filter_map(at).collect())
    });
    let plot = Plot {
        x: "numbers in the batch, list of a million",
        within: 6.0..5e3,
        y: "ns per number",
        up_to: 1000.0,
    };
    plot.draw(&lines, file)
}

/// A line plot with two logarithmic axes.
struct Plot {
    x: &'static str,
    within: Range<f64>,
    y: &'static str,
    up_to: f64,
}

type Line = (String, Vec<(f64, f64)>);

impl Plot {
    fn draw(self, lines: &[Line], file: &Path) -> Result<()> {
        self.try_draw(lines, file).map_err(|error| anyhow!("can't draw {}: {error}", file.display()))
    }

    fn try_draw(self, lines: &[Line], file: &Path) -> std::result::Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(file, (860, 460)).into_drawing_area();
        root.fill(&WHITE).map_err(owned)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(self.within.log_scale(), (1.0..self.up_to).log_scale())
            .map_err(owned)?;
        chart.configure_mesh().x_desc(self.x).y_desc(self.y).draw().map_err(owned)?;
        for ((name, points), colour) in lines.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
                .map_err(owned)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(owned)?;
        root.present().map_err(owned)
    }
}

/// Converts a backend's error, which borrows the path of the file.
fn owned(error: impl std::fmt::Display) -> Box<dyn Error> {
    error.to_string().into()
}
