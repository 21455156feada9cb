//! Plots, as SVG.

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

/// What a check costs, over the size of the list; both in powers of ten.
pub(super) fn checks(measured: &Measured, file: &Path) -> Result<()> {
    let lines = HOLDERS.map(|(holder, name)| {
        let at = |size: u64| Some((size as f64, measured.of(&format!("check/one/{size}/{holder}"))?));
        (name.replace('`', ""), SIZES.into_iter().filter_map(at).collect())
    });
    let plot = Plot { x: "numbers on the list", within: 8e3..1.3e7, y: "ns a check", up_to: 10_000.0 };
    plot.draw(&lines, file)
}

/// What a number of a batch costs, over the size of the batch.
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
        x: "numbers in the batch, of a list of a million",
        within: 6.0..5e3,
        y: "ns a number",
        up_to: 1000.0,
    };
    plot.draw(&lines, file)
}

/// Lines in a field, of which both sides are in powers of ten.
struct Plot {
    x: &'static str,
    within: Range<f64>,
    y: &'static str,
    up_to: f64,
}

type Line = (String, Vec<(f64, f64)>);

impl Plot {
    fn draw(self, lines: &[Line], file: &Path) -> Result<()> {
        self.try_draw(lines, file).map_err(|error| anyhow!("{} can't be drawn: {error}", file.display()))
    }

    fn try_draw(self, lines: &[Line], file: &Path) -> std::result::Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(file, (860, 460)).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(self.within.log_scale(), (1.0..self.up_to).log_scale())
            .map_err(told)?;
        chart.configure_mesh().x_desc(self.x).y_desc(self.y).draw().map_err(told)?;
        for ((name, points), colour) in lines.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
                .map_err(told)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(told)?;
        root.present().map_err(told)
    }
}

/// What a backend says borrows from the file's path.
fn told(error: impl std::fmt::Display) -> Box<dyn Error> {
    error.to_string().into()
}
