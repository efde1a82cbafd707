"""The C functions that every exported policy has."""

from __future__ import annotations

from typing import Final

from revive.runtime.network import SOFTNESS

HELPERS: Final = f"""static void add(const double *x, int n, const double *w, double *y, int m) {{
  for (int j = 0; j < m; j++)
    for (int i = 0; i < n; i++) y[j] += w[j * n + i] * x[i];
}}

static void affine(const double *x, int n, const double *w, const double *b, double *y, int m) {{
  memcpy(y, b, (size_t)m * sizeof(double));
  add(x, n, w, y, m);
}}

static inline double softplus(double x) {{ return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))); }}

static inline double bounded(double x, double low, double high) {{
  double soft = (high - low) / 10.0;
  soft = soft < 1e-6 ? 1e-6 : soft > {SOFTNESS!r} ? {SOFTNESS!r} : soft;
  x = low + soft * (softplus((x - low) / soft) - softplus((x - high) / soft));
  return x < low ? low : x > high ? high : x;
}}

static inline double level(double x, int levels) {{
  double half = (levels - 1) / 2.0;
  x = x < -1.0 ? -1.0 : x > 1.0 ? 1.0 : x;
  return nearbyint((x + 1.0) * half) / half - 1.0;
}}

static inline double turn(double angle) {{ return angle < 0.0 ? angle + 6.283185307179586 : angle; }}

static inline int largest(const double *x, int n) {{
  int best = 0;
  for (int i = 1; i < n; i++) if (x[i] > x[best]) best = i;
  return best;
}}

static inline int nearest(double x, const double *values, int n) {{
  int best = 0;
  for (int i = 1; i < n; i++) if (fabs(x - values[i]) < fabs(x - values[best])) best = i;
  return best;
}}

static inline double interpolate(double x, const double *xs, const double *ys, int n) {{
  int right = 1;
  while (right < n - 1 && xs[right] < x) right++;
  return ys[right - 1] + (x - xs[right - 1]) * ((ys[right] - ys[right - 1]) / (xs[right] - xs[right - 1]));
}}

static inline int finite_all(const double *x, int n) {{
  for (int i = 0; i < n; i++) if (!(fabs(x[i]) <= DBL_MAX)) return 0;
  return 1;
}}

static inline void push(double *past, int size, const double *value, int width) {{
  memmove(past, past + width, (size_t)(size - width) * sizeof(double));
  memcpy(past + size - width, value, (size_t)width * sizeof(double));
}}

"""
