//! Definitions of the scalar functions by basic prims.
