//! Brings pictures to one size, whatever they are: the filters are built anew when that changes.

use crate::error::{CellError, Result};
use crate::filter::PictureFormat;
use crate::libav::{Chain, Medium, Picture};

#[derive(Default)]
pub(crate) struct Scaler(Option<(PictureFormat, Chain)>);

impl Scaler {
    /// Puts a picture through `filters`, as they are for pictures like it; `None` if nothing comes out.
    pub(crate) fn scale(
        &mut self,
        mut picture: Picture,
        filters: impl FnOnce(&PictureFormat) -> String,
    ) -> Result<Option<Picture>> {
        let format = PictureFormat::of(&picture);
        if self.0.as_ref().is_none_or(|(of, _)| *of != format) {
            let chain = Chain::new(Medium::Picture, &format.source(), &filters(&format), 1)
                .map_err(CellError::libav("build a scaler"))?;
            self.0 = Some((format, chain));
        }
        let (_, chain) = self.0.as_mut().expect("it was just built");
        chain.put(picture.frame()).map_err(CellError::libav("scale a picture"))?;
        let mut scaled = Picture::empty();
        let is_there = chain.take(scaled.frame()).map_err(CellError::libav("scale a picture"))?;
        Ok(is_there.then_some(scaled))
    }
}
