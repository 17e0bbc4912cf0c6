// exp, log and power in binary64 from exact steps, for tables made when a model loads and for positions' factors.
// Never inside a token's sums, so speed does not matter; no libm, so that every machine agrees.
#ifndef SC_KERNELS_ELEMENTARY64_H
#define SC_KERNELS_ELEMENTARY64_H

double sc_exp64(double x);           // 0 below -708, infinity above 709
double sc_log64(double x);           // natural; x > 0 and normal, else a quiet NaN
double sc_pow64(double x, double y); // exp(y ln x), x > 0

#endif
