// The inner block in fp32 for CPUs; see native.py.
//
// A vector holds one channel of 4, 8 or 16 words, as wide as the CPU has them, so that norms, softmax over keys and all
// matrix products run without sums across a vector: a weight, query or key of one word is a scalar that is multiplied
// with the vector of a channel. A tile is one sentence of 64 words or four of 16, each channel `width` vectors; its
// intermediate results stay in the cache. The backward pass computes them again. The gradient of a weight is the one
// sum over words: it is taken over the vectors of several tiles, and then across as many vectors at once as one has
// lanes.
//
// Any C++17 compiler with GCC's vector extensions will do.

#include <cstdlib>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))

// Lanes of a vector, and how many rows and columns of a product at a time there are registers for.
#if defined(__AVX512F__)
#define LANES 16
#define PRODUCT_COLUMNS 4
#define LIST(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif defined(__AVX__)
#define LANES 8
#define PRODUCT_COLUMNS 2
#define LIST(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define LANES 4
#define PRODUCT_COLUMNS 2
#define LIST(f) f(0), f(1), f(2), f(3)
#endif
#define PRODUCT_ROWS 6

namespace {

constexpr int MAX_WIDTH = 64 / LANES;         // vectors of a tile and channel
constexpr int MAX_TILES = 8;                  // of a sum over words
constexpr int SUM_ROWS = 4;                   // of the products that are summed over words at a time
constexpr int SUM_COLUMNS = LANES / SUM_ROWS; // so that their sums fill a vector
constexpr float GELU_END = 5.6f;              // beyond, erf(x / sqrt(2)) is 1 in fp32

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), may_alias));
typedef float unaligned __attribute__((vector_size(4 * LANES), may_alias, aligned(4)));

#if defined(__clang__)
#define SHUFFLE(a, b, f) __builtin_shufflevector(a, b, LIST(f))
#else
#define SHUFFLE(a, b, f) __builtin_shuffle(a, b, (ivec){LIST(f)})
#endif
#define LOW(l) ((l) & S ? LANES + (l) - S : (l))
#define HIGH(l) ((l) & S ? LANES + (l) : (l) + S)

// The lanes of two vectors without and with bit S of their number, interleaved in groups of S.
template <int S> INLINE vec low(vec a, vec b) { return SHUFFLE(a, b, LOW); }
template <int S> INLINE vec high(vec a, vec b) { return SHUFFLE(a, b, HIGH); }

template <int S> INLINE void transpose_step(vec *rows) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++)
    if (!(i & S)) {
      vec a = rows[i], b = rows[i + S];
      rows[i] = low<S>(a, b);
      rows[i + S] = high<S>(a, b);
    }
}

template <int S = LANES / 2> INLINE void transpose(vec *rows) {
  transpose_step<S>(rows);
  if constexpr (S > 1)
    transpose<S / 2>(rows);
}

template <int S> INLINE void sum_step(vec *rows) {
#pragma GCC unroll 8
  for (int i = 0; i < S; i++)
    rows[i] = low<S>(rows[i], rows[i + S]) + high<S>(rows[i], rows[i + S]);
}

// A vector of the sums across each of as many vectors as one has lanes.
template <int S = LANES / 2> INLINE vec sums(vec *rows) {
  sum_step<S>(rows);
  if constexpr (S > 1)
    return sums<S / 2>(rows);
  return rows[0];
}

template <int S = LANES / 2> INLINE float sum(vec a) {
  a += high<S>(a, a);
  if constexpr (S > 1)
    return sum<S / 2>(a);
  return a[0];
}

INLINE vec all(float value) { return value - (vec){}; }
INLINE vec max(vec a, vec b) { return a < b ? b : a; }
INLINE vec min(vec a, vec b) { return b < a ? b : a; }

// 2^n * p(r) with x = n ln(2) + r; relative error 2e-7 above -87, where it ends.
INLINE vec exponential(vec x) {
  constexpr float SHIFT = 12582912.0f; // 1.5 * 2^23: its sum with n has n in the lowest bits
  x = min(max(x, all(-87.0f)), all(88.0f));
  vec shifted = x * 1.44269504f + SHIFT;
  vec n = shifted - SHIFT;
  vec r = x - n * 0.693145752f - n * 1.42860677e-6f;
  vec p = r * 1.38888889e-3f + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  ivec bits = ((ivec)shifted + (127 - 0x4B400000)) << 23;
  return p * (vec)bits;
}

INLINE vec root(vec x) {
  vec y;
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++)
    y[i] = __builtin_sqrtf(x[i]);
  return y;
}

// erf(x / sqrt(2)): odd rational function, fitted for the least relative error, 3e-7 as computed.
INLINE vec error_function(vec x) {
  x = min(max(x, all(-GELU_END)), all(GELU_END));
  vec u = x * x;
  vec p = u * 4.4596327e-08f + 1.2579307e-05f;
  p = p * u + 3.3783165e-04f;
  p = p * u + 9.354535e-03f;
  p = p * u + 6.785548e-02f;
  p = p * u + 7.978845e-01f;
  vec q = u * 1.1796701e-06f + 7.3339754e-05f;
  q = q * u + 1.8854154e-03f;
  q = q * u + 2.8676808e-02f;
  q = q * u + 2.5171056e-01f;
  q = q * u + 1.0f;
  return min(max(x * p / q, all(-1.0f)), all(1.0f));
}

struct Shape {
  long sentences;
  int words, channels, hidden, heads, together, has_bias;
  float eps;
  int blocks, group, width; // vectors of a sentence and channel; sentences of a tile; vectors of a tile and channel
};

// What the weights look like to the products: [outputs][inputs], queries already scaled.
struct Weights {
  float *qkv, *qkv_bias, *proj, *proj_bias, *fc1, *fc1_bias, *fc2, *fc2_bias;
  float *qkv_t, *proj_t, *fc1_t, *fc2_t;
  vec *norm1, *bias1, *norm2, *bias2; // [channels][blocks]
};

// Where each parameter starts in a row of all, in the order of InnerBlockParams.
struct Places {
  long norm1, bias1, qkv, proj, proj_bias, norm2, bias2, fc1, fc1_bias, fc2, fc2_bias, qkv_bias, end;
};

Places locate(const Shape &s) {
  long c = s.channels, f = s.hidden, norm = s.together ? s.words * c : c;
  Places p;
  p.norm1 = 0;
  p.bias1 = norm;
  p.qkv = p.bias1 + norm;
  p.proj = p.qkv + 3 * c * c;
  p.proj_bias = p.proj + c * c;
  p.norm2 = p.proj_bias + c;
  p.bias2 = p.norm2 + norm;
  p.fc1 = p.bias2 + norm;
  p.fc1_bias = p.fc1 + f * c;
  p.fc2 = p.fc1_bias + f;
  p.fc2_bias = p.fc2 + c * f;
  p.qkv_bias = p.fc2_bias + c;
  p.end = p.qkv_bias + (s.has_bias ? 3 * c : 0);
  return p;
}

int padded(int rows) { return (rows + SUM_ROWS - 1) / SUM_ROWS * SUM_ROWS; }

// A thread's memory, in pieces that are aligned to vectors. It is kept from call to call: the system clears what it gives.
struct Pool {
  char *memory = nullptr, *next = nullptr;
  size_t size = 0;
  ~Pool() { free(memory); }
  bool reserve(size_t bytes) {
    if (bytes > size) {
      free(memory);
      memory = nullptr;
      size = posix_memalign((void **)&memory, 64, bytes) ? 0 : bytes;
    }
    next = memory;
    return size;
  }
  template <typename T> T *take(size_t count) {
    T *piece = (T *)next;
    next += (count * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
};

void transpose_matrix(const float *matrix, int rows, int columns, float *out) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++)
      out[j * rows + i] = matrix[i * columns + j];
}

void prepare_norm(const float *given, const Shape &s, vec *out) {
  for (int c = 0; c < s.channels; c++)
    for (int word = 0; word < s.words; word++)
      ((float *)(out + c * s.blocks))[word] = given[s.together ? word * s.channels + c : c];
}

size_t weights_bytes(const Shape &s) {
  size_t c = s.channels, f = s.hidden;
  return (8 * c * c + 4 * c * f + 5 * c + f) * sizeof(float) + 4 * c * s.blocks * sizeof(vec) + 16 * 64;
}

Weights prepare(const float *params, const Shape &s, Pool &pool) {
  int c = s.channels, f = s.hidden;
  Places at = locate(s);
  Weights w;
  float scale = 1.0f / __builtin_sqrtf((float)(c / s.heads));
  w.qkv = pool.take<float>(3 * c * c);
  w.qkv_bias = pool.take<float>(3 * c);
  for (int i = 0; i < 3 * c; i++) {
    float factor = i < c ? scale : 1.0f;
    for (int j = 0; j < c; j++)
      w.qkv[i * c + j] = params[at.qkv + i * c + j] * factor;
    w.qkv_bias[i] = s.has_bias ? params[at.qkv_bias + i] * factor : 0.0f;
  }
  w.proj = (float *)params + at.proj;
  w.proj_bias = (float *)params + at.proj_bias;
  w.fc1 = (float *)params + at.fc1;
  w.fc1_bias = (float *)params + at.fc1_bias;
  w.fc2 = (float *)params + at.fc2;
  w.fc2_bias = (float *)params + at.fc2_bias;
  w.qkv_t = pool.take<float>(3 * c * c);
  transpose_matrix(w.qkv, 3 * c, c, w.qkv_t);
  w.proj_t = pool.take<float>(c * c);
  transpose_matrix(w.proj, c, c, w.proj_t);
  w.fc1_t = pool.take<float>(c * f);
  transpose_matrix(w.fc1, f, c, w.fc1_t);
  w.fc2_t = pool.take<float>(c * f);
  transpose_matrix(w.fc2, c, f, w.fc2_t);
  vec **norms[] = {&w.norm1, &w.bias1, &w.norm2, &w.bias2};
  long places[] = {at.norm1, at.bias1, at.norm2, at.bias2};
  for (int i = 0; i < 4; i++) {
    *norms[i] = pool.take<vec>(c * s.blocks);
    prepare_norm(params + places[i], s, *norms[i]);
  }
  return w;
}

// out[o][v] = bias[o] + sum over i of weight[o][i] * in[i][v], for R outputs and C vectors.
template <int R, int C>
INLINE void multiply_block(const float *weight, const float *bias, const vec *in, vec *out, int inputs, int width) {
  vec total[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++)
      total[r][v] = all(bias ? bias[r] : 0.0f);
  for (int i = 0; i < inputs; i++)
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < C; v++)
        total[r][v] += weight[r * inputs + i] * in[i * width + v];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++)
      out[r * width + v] = total[r][v];
}

template <int R>
INLINE int multiply_rows(const float *weight, const float *bias, const vec *in, vec *out, int o, int outputs, int inputs,
                         int width) {
  for (; o + R <= outputs; o += R) {
    const float *rows = weight + o * inputs, *shift = bias ? bias + o : nullptr;
    int v = 0;
    for (; v + PRODUCT_COLUMNS <= width; v += PRODUCT_COLUMNS)
      multiply_block<R, PRODUCT_COLUMNS>(rows, shift, in + v, out + o * width + v, inputs, width);
    for (; v < width; v++)
      multiply_block<R, 1>(rows, shift, in + v, out + o * width + v, inputs, width);
  }
  return o;
}

void multiply(const float *weight, const float *bias, const vec *in, vec *out, int outputs, int inputs, int width) {
  int o = multiply_rows<PRODUCT_ROWS>(weight, bias, in, out, 0, outputs, inputs, width);
  o = multiply_rows<2>(weight, bias, in, out, o, outputs, inputs, width);
  multiply_rows<1>(weight, bias, in, out, o, outputs, inputs, width);
}

// Words [words][channels] of a tile to [channel][vector]; missing sentences are zero.
INLINE void load_block(const float *words, int channels, vec *out, int width) {
  int c = 0;
  for (; channels >= LANES && c < channels; c += LANES) {
    c = c + LANES > channels ? channels - LANES : c; // the last ones may be taken twice
    vec rows[LANES];
#pragma GCC unroll 16
    for (int w = 0; w < LANES; w++)
      rows[w] = *(const unaligned *)(words + w * channels + c);
    transpose(rows);
    for (int i = 0; i < LANES; i++)
      out[(c + i) * width] = rows[i];
  }
  for (; c < channels; c++)
    for (int w = 0; w < LANES; w++)
      ((float *)(out + c * width))[w] = words[w * channels + c];
}

INLINE void store_block(const vec *in, int width, int channels, float *words) {
  int c = 0;
  for (; channels >= LANES && c < channels; c += LANES) {
    c = c + LANES > channels ? channels - LANES : c; // the last ones may be taken twice
    vec rows[LANES];
    for (int i = 0; i < LANES; i++)
      rows[i] = in[(c + i) * width];
    transpose(rows);
#pragma GCC unroll 16
    for (int w = 0; w < LANES; w++)
      *(unaligned *)(words + w * channels + c) = rows[w];
  }
  for (; c < channels; c++)
    for (int w = 0; w < LANES; w++)
      words[w * channels + c] = ((const float *)(in + c * width))[w];
}

void load(const float *words, const Shape &s, long first, vec *out) {
  for (int v = 0; v < s.width; v++) {
    long sentence = first + v / s.blocks;
    if (sentence < s.sentences)
      load_block(words + (sentence * s.words + v % s.blocks * LANES) * s.channels, s.channels, out + v, s.width);
    else
      for (int c = 0; c < s.channels; c++)
        out[c * s.width + v] = all(0.0f);
  }
}

void store(const vec *in, const Shape &s, long first, float *words) {
  for (int v = 0; v < s.width; v++) {
    long sentence = first + v / s.blocks;
    if (sentence < s.sentences)
      store_block(in + v, s.width, s.channels, words + (sentence * s.words + v % s.blocks * LANES) * s.channels);
  }
}

// Where a norm takes a sentence's words together, turn sums of each word into those of its sentence.
INLINE void sum_sentences(vec *totals, const Shape &s) {
  if (!s.together)
    return;
  for (int v = 0; v < s.width; v += s.blocks) {
    vec total = totals[v];
    for (int b = 1; b < s.blocks; b++)
      total += totals[v + b];
    vec whole = all(sum(total));
    for (int b = 0; b < s.blocks; b++)
      totals[v + b] = whole;
  }
}

// Normalise; leave mean and inverse deviation.
void normalise(const vec *in, const vec *weight, const vec *bias, const Shape &s, vec *mean, vec *rstd, vec *out) {
  int n = s.channels, width = s.width;
  float share = 1.0f / (s.together ? n * s.words : n);
  for (int v = 0; v < width; v++)
    mean[v] = rstd[v] = all(0.0f);
  for (int c = 0; c < n; c++)
    for (int v = 0; v < width; v++)
      mean[v] += in[c * width + v];
  sum_sentences(mean, s);
  for (int v = 0; v < width; v++)
    mean[v] *= share;
  for (int c = 0; c < n; c++)
    for (int v = 0; v < width; v++) {
      vec centred = in[c * width + v] - mean[v];
      rstd[v] += centred * centred;
    }
  sum_sentences(rstd, s);
  for (int v = 0; v < width; v++)
    rstd[v] = 1.0f / root(rstd[v] * share + s.eps);
  for (int c = 0; c < n; c++)
    for (int v = 0; v < width; v++) {
      int place = c * s.blocks + v % s.blocks;
      out[c * width + v] = (in[c * width + v] - mean[v]) * rstd[v] * weight[place] + bias[place];
    }
}

// Add to the gradient of the input that of the norm's output, and to those of weight and bias.
void normalise_backward(const vec *grad, const vec *in, const vec *weight, const vec *mean, const vec *rstd,
                        const Shape &s, vec *weight_grad, vec *bias_grad, vec *in_grad) {
  int n = s.channels, width = s.width;
  float share = 1.0f / (s.together ? n * s.words : n);
  vec shift[MAX_WIDTH], slope[MAX_WIDTH];
  for (int v = 0; v < width; v++)
    shift[v] = slope[v] = all(0.0f);
  for (int c = 0; c < n; c++)
    for (int v = 0; v < width; v++) {
      int place = c * s.blocks + v % s.blocks;
      vec normed = (in[c * width + v] - mean[v]) * rstd[v], g = grad[c * width + v];
      weight_grad[place] += g * normed;
      bias_grad[place] += g;
      g *= weight[place];
      shift[v] += g;
      slope[v] += g * normed;
    }
  sum_sentences(shift, s);
  sum_sentences(slope, s);
  for (int v = 0; v < width; v++) {
    shift[v] *= share;
    slope[v] *= share;
  }
  for (int c = 0; c < n; c++)
    for (int v = 0; v < width; v++) {
      int place = c * s.blocks + v % s.blocks;
      vec normed = (in[c * width + v] - mean[v]) * rstd[v];
      in_grad[c * width + v] += (grad[c * width + v] * weight[place] - shift[v] - normed * slope[v]) * rstd[v];
    }
}

INLINE const float *lanes(const vec *v) { return (const float *)v; }

// Rows `i` of out: sum over words j of matrix[j][i] * scalars[channel][j], for channels of a head.
template <int CHANNELS>
INLINE void mix_channels(const vec *matrix, int step, const vec *scalars, vec *out, const Shape &s) {
  vec total[CHANNELS];
#pragma GCC unroll 4
  for (int d = 0; d < CHANNELS; d++)
    total[d] = all(0.0f);
  for (int block = 0; block < s.blocks; block++)
    for (int lane = 0; lane < LANES; lane++)
#pragma GCC unroll 4
      for (int d = 0; d < CHANNELS; d++)
        total[d] += lanes(scalars + d * s.width + block)[lane] * matrix[(block * LANES + lane) * step];
#pragma GCC unroll 4
  for (int d = 0; d < CHANNELS; d++)
    out[d * s.width] = total[d];
}

INLINE void mix(const vec *matrix, int step, const vec *scalars, vec *out, int channels, const Shape &s) {
  int d = 0;
  for (; d + 4 <= channels; d += 4)
    mix_channels<4>(matrix, step, scalars + d * s.width, out + d * s.width, s);
  for (; d + 2 <= channels; d += 2)
    mix_channels<2>(matrix, step, scalars + d * s.width, out + d * s.width, s);
  for (; d < channels; d++)
    mix_channels<1>(matrix, step, scalars + d * s.width, out + d * s.width, s);
}

// Rows j of out: sum over a head's channels of scalars[channel][j] * vectors[channel], for the words j of a block.
INLINE void outer(const vec *scalars, const vec *vectors, vec *out, int step, int channels, int width) {
  vec total[LANES];
#pragma GCC unroll 16
  for (int j = 0; j < LANES; j++)
    total[j] = all(0.0f);
  for (int d = 0; d < channels; d++) {
    vec value = vectors[d * width];
#pragma GCC unroll 16
    for (int j = 0; j < LANES; j++)
      total[j] += lanes(scalars + d * width)[j] * value;
  }
#pragma GCC unroll 16
  for (int j = 0; j < LANES; j++)
    out[j * step] = total[j];
}

// Attention of a tile: weights [head][key][vector of queries] and mixed values [channel][vector].
void attend(const vec *qkv, const Shape &s, vec *weights, vec *mixed) {
  int c = s.channels, head = c / s.heads, width = s.width;
  const vec *query = qkv, *key = qkv + c * width, *value = qkv + 2 * c * width;
  for (int h = 0; h < s.heads; h++)
    for (int v = 0; v < width; v++) {
      int sentence = v - v % s.blocks, place = h * head * width;
      vec *column = weights + (long)h * s.words * width + v;
      for (int b = 0; b < s.blocks; b++)
        outer(key + place + sentence + b, query + place + v, column + b * LANES * width, width, head, width);
      vec largest = column[0], total = all(0.0f);
      for (int j = 1; j < s.words; j++)
        largest = max(largest, column[j * width]);
      for (int j = 0; j < s.words; j++)
        total += column[j * width] = exponential(column[j * width] - largest);
      total = 1.0f / total;
      for (int j = 0; j < s.words; j++)
        column[j * width] *= total;
      mix(column, width, value + place + sentence, mixed + place + v, head, s);
    }
}

// Gradients of queries, keys and values [channel][vector] out of that of the mixed values.
void attend_backward(const vec *qkv, const vec *weights, const vec *mixed_grad, const Shape &s, vec *slopes, vec *turned,
                     vec *grads) {
  int c = s.channels, head = c / s.heads, width = s.width;
  const vec *query = qkv, *key = qkv + c * width, *value = qkv + 2 * c * width;
  for (int h = 0; h < s.heads; h++)
    for (int first = 0; first < width; first += s.blocks) {
      int place = h * head * width;
      const vec *weight = weights + (long)h * s.words * width + first;
      for (int b = 0; b < s.blocks; b++) {
        const vec *column = weight + b;
        vec total = all(0.0f);
        for (int k = 0; k < s.blocks; k++)
          outer(value + place + first + k, mixed_grad + place + first + b, slopes + k * LANES * s.blocks + b, s.blocks,
                head, width);
        for (int j = 0; j < s.words; j++)
          total += column[j * width] * slopes[j * s.blocks + b];
        for (int j = 0; j < s.words; j++)
          slopes[j * s.blocks + b] = column[j * width] * (slopes[j * s.blocks + b] - total);
        mix(slopes + b, s.blocks, key + place + first, grads + place + first + b, head, s);
      }
      // Sums over queries, which are the lanes: of both matrices turned round.
      for (int k = 0; k < s.blocks; k++)
        for (int turn = 0; turn < 2; turn++) {
          const vec *source = turn ? slopes : weight;
          int step = turn ? s.blocks : width;
          for (int b = 0; b < s.blocks; b++) {
            vec *rows = turned + b * LANES;
            for (int j = 0; j < LANES; j++)
              rows[j] = source[(k * LANES + j) * step + b];
            transpose(rows);
          }
          const vec *scalars = turn ? query : mixed_grad;
          mix(turned, 1, scalars + place + first, grads + (turn ? 1 : 2) * c * width + place + first + k, head, s);
        }
    }
}

INLINE void add_update(vec *x, const vec *update, const vec *scale, const Shape &s) {
  for (int c = 0; c < s.channels; c++)
    for (int v = 0; v < s.width; v++)
      x[c * s.width + v] += update[c * s.width + v] * scale[v];
}

// By what a branch of each vector's sentence is multiplied.
INLINE void load_scales(const float *scales, const Shape &s, long first, vec *out) {
  for (int v = 0; v < s.width; v++) {
    long sentence = first + v / s.blocks;
    out[v] = all(scales && sentence < s.sentences ? scales[sentence] : 1.0f);
  }
}

void forward_tile(const float *words, const Weights &w, const float *scales, const Shape &s, long first, vec *x, vec *normed,
                  vec *qkv, vec *weights, vec *mixed, vec *hidden, float *out) {
  int c = s.channels, width = s.width;
  vec mean[MAX_WIDTH], rstd[MAX_WIDTH], scale[MAX_WIDTH];
  load(words, s, first, x);
  normalise(x, w.norm1, w.bias1, s, mean, rstd, normed);
  multiply(w.qkv, w.qkv_bias, normed, qkv, 3 * c, c, width);
  attend(qkv, s, weights, mixed);
  multiply(w.proj, w.proj_bias, mixed, normed, c, c, width);
  load_scales(scales, s, first, scale);
  add_update(x, normed, scale, s);
  normalise(x, w.norm2, w.bias2, s, mean, rstd, normed);
  multiply(w.fc1, w.fc1_bias, normed, hidden, s.hidden, c, width);
  for (int i = 0; i < s.hidden * width; i++) {
    vec half = hidden[i] * 0.5f;
    hidden[i] = half + half * error_function(hidden[i]);
  }
  multiply(w.fc2, w.fc2_bias, hidden, normed, c, s.hidden, width);
  load_scales(scales ? scales + s.sentences : nullptr, s, first, scale);
  add_update(x, normed, scale, s);
  store(x, s, first, out);
}

// What a tile leaves for the gradients of the weights: [channel][vector] each.
struct Kept {
  vec *normed1, *mixed, *normed2, *active, *qkv_grad, *proj_grad, *fc1_grad, *fc2_grad;
};

// The gradients of all weights by 4x4 vectors, of biases and norms by vectors over which they are still to be summed.
struct Grads {
  vec *qkv, *proj, *fc1, *fc2, *qkv_bias, *proj_bias, *fc1_bias, *fc2_bias, *norm1, *bias1, *norm2, *bias2;
};

struct Scratch {
  vec *x, *y, *grad, *qkv, *weights, *slope, *update, *slopes, *turned;
};

INLINE void add_bias(const vec *grad, int channels, int width, vec *total) {
  for (int c = 0; c < channels; c++)
    for (int v = 0; v < width; v++)
      total[c] += grad[c * width + v];
}

INLINE void scaled(const vec *in, const vec *scale, const Shape &s, vec *out) {
  for (int c = 0; c < s.channels; c++)
    for (int v = 0; v < s.width; v++)
      out[c * s.width + v] = in[c * s.width + v] * scale[v];
}

void backward_tile(const float *grad, const float *words, const Weights &w, const float *scales, const Shape &s, long first,
                   const Scratch &t, const Kept &k, const Grads &g, float *words_grad) {
  int c = s.channels, f = s.hidden, width = s.width;
  vec mean1[MAX_WIDTH], rstd1[MAX_WIDTH], mean2[MAX_WIDTH], rstd2[MAX_WIDTH], scale1[MAX_WIDTH], scale2[MAX_WIDTH];
  load_scales(scales, s, first, scale1);
  load_scales(scales ? scales + s.sentences : nullptr, s, first, scale2);

  load(words, s, first, t.x);
  normalise(t.x, w.norm1, w.bias1, s, mean1, rstd1, k.normed1);
  multiply(w.qkv, w.qkv_bias, k.normed1, t.qkv, 3 * c, c, width);
  attend(t.qkv, s, t.weights, k.mixed);
  multiply(w.proj, w.proj_bias, k.mixed, t.update, c, c, width);
  memcpy(t.y, t.x, sizeof(vec) * c * width);
  add_update(t.y, t.update, scale1, s);
  normalise(t.y, w.norm2, w.bias2, s, mean2, rstd2, k.normed2);
  multiply(w.fc1, w.fc1_bias, k.normed2, t.slope, f, c, width);
  for (int i = 0; i < f * width; i++) {
    vec x = t.slope[i], share = error_function(x) * 0.5f + 0.5f;
    k.active[i] = x * share;
    t.slope[i] = share + x * 0.398942280f * exponential(x * x * -0.5f);
  }

  load(grad, s, first, t.grad);
  scaled(t.grad, scale2, s, k.fc2_grad);
  add_bias(k.fc2_grad, c, width, g.fc2_bias);
  multiply(w.fc2_t, nullptr, k.fc2_grad, k.fc1_grad, f, c, width);
  for (int i = 0; i < f * width; i++)
    k.fc1_grad[i] *= t.slope[i];
  add_bias(k.fc1_grad, f, width, g.fc1_bias);
  multiply(w.fc1_t, nullptr, k.fc1_grad, t.update, c, f, width);
  normalise_backward(t.update, t.y, w.norm2, mean2, rstd2, s, g.norm2, g.bias2, t.grad);

  scaled(t.grad, scale1, s, k.proj_grad);
  add_bias(k.proj_grad, c, width, g.proj_bias);
  multiply(w.proj_t, nullptr, k.proj_grad, t.update, c, c, width);
  attend_backward(t.qkv, t.weights, t.update, s, t.slopes, t.turned, k.qkv_grad);
  if (s.has_bias)
    add_bias(k.qkv_grad, 3 * c, width, g.qkv_bias);
  multiply(w.qkv_t, nullptr, k.qkv_grad, t.update, c, 3 * c, width);
  normalise_backward(t.update, t.x, w.norm1, mean1, rstd1, s, g.norm1, g.bias1, t.grad);
  store(t.grad, s, first, words_grad);
}

// Add the sums over words of left[o] * right[i], block by block; `step` vectors from tile to tile.
void add_products(const vec *left, const vec *right, int outputs, int inputs, int width, int tiles, long step, vec *total) {
  for (int o = 0; o < outputs; o += SUM_ROWS)
    for (int i = 0; i < inputs; i += SUM_COLUMNS) {
      vec products[LANES];
#pragma GCC unroll 16
      for (int n = 0; n < LANES; n++)
        products[n] = all(0.0f);
      for (int tile = 0; tile < tiles; tile++)
        for (int v = 0; v < width; v++) {
          const vec *a = left + tile * step + o * width + v, *b = right + tile * step + i * width + v;
#pragma GCC unroll 16
          for (int n = 0; n < LANES; n++)
            products[n] += a[n / SUM_COLUMNS * width] * b[n % SUM_COLUMNS * width];
        }
      *total++ += sums(products);
    }
}

// Add blocks to a matrix [outputs][inputs], or to [inputs][outputs] where it is turned.
void add_blocks(const vec *blocks, int outputs, int inputs, bool turned, float *matrix) {
  for (int o = 0; o < outputs; o += SUM_ROWS)
    for (int i = 0; i < inputs; i += SUM_COLUMNS, blocks++)
      for (int n = 0; n < LANES; n++) {
        int row = o + n / SUM_COLUMNS, column = i + n % SUM_COLUMNS;
        if (row < outputs && column < inputs)
          matrix[turned ? column * outputs + row : row * inputs + column] += lanes(blocks)[n];
      }
}

void add_sums(const vec *totals, int count, float *out) {
  for (int i = 0; i < count; i++)
    out[i] += sum(totals[i]);
}

void add_norm(const vec *totals, const Shape &s, float *out) {
  for (int c = 0; c < s.channels; c++)
    for (int word = 0; word < s.words; word++)
      out[s.together ? word * s.channels + c : c] += lanes(totals + c * s.blocks)[word];
}

// A thread's own part of all gradients, in the order of InnerBlockParams.
void finish(const Grads &g, const Shape &s, float *out) {
  int c = s.channels, f = s.hidden;
  Places at = locate(s);
  add_norm(g.norm1, s, out + at.norm1);
  add_norm(g.bias1, s, out + at.bias1);
  add_blocks(g.qkv, 3 * c, c, false, out + at.qkv);
  add_blocks(g.proj, c, c, false, out + at.proj);
  add_sums(g.proj_bias, c, out + at.proj_bias);
  add_norm(g.norm2, s, out + at.norm2);
  add_norm(g.bias2, s, out + at.bias2);
  add_blocks(g.fc1, f, c, false, out + at.fc1);
  add_sums(g.fc1_bias, f, out + at.fc1_bias);
  add_blocks(g.fc2, f, c, true, out + at.fc2); // taken turned: few rows are in use at a time
  add_sums(g.fc2_bias, c, out + at.fc2_bias);
  if (s.has_bias)
    add_sums(g.qkv_bias, 3 * c, out + at.qkv_bias);
  float scale = 1.0f / __builtin_sqrtf((float)(c / s.heads)); // the queries' weight was scaled
  for (int i = 0; i < c * c; i++)
    out[at.qkv + i] *= scale;
  for (int i = 0; s.has_bias && i < c; i++)
    out[at.qkv_bias + i] *= scale;
}

long matrices(const Shape &s) {
  long c = padded(s.channels), f = padded(s.hidden), qkv = padded(3 * s.channels);
  return (qkv * c + c * c + 2 * f * c) / LANES;
}

// The tiles of a thread.
void share(const Shape &s, int thread, int threads, long *begin, long *end) {
  long tiles = (s.sentences + s.group - 1) / s.group;
  *begin = tiles * thread / threads;
  *end = tiles * (thread + 1) / threads;
}

Shape read_shape(const long *n, float eps) {
  Shape s = {n[0], (int)n[1], (int)n[2], (int)n[3], (int)n[4], (int)n[5], (int)n[6], eps};
  s.blocks = s.words / LANES;
  s.group = s.blocks < MAX_WIDTH ? MAX_WIDTH / s.blocks : 1;
  s.width = s.group * s.blocks;
  return s;
}

} // namespace

// Both return 0, or 1 where memory is short. `shape` is {sentences, words, channels, hidden, heads, together, has_bias};
// words are [sentences][words][channels], params a row of all parameters, scales [2][sentences] or nothing.
extern "C" int inner_block_forward(const float *words, const float *params, const float *scales, float *out,
                                   const long *shape, float eps, int threads) {
  Shape s = read_shape(shape, eps);
  static thread_local Pool shared;
  if (!shared.reserve(weights_bytes(s)))
    return 1;
  Weights w = prepare(params, s, shared);
  int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(| : failed)
  for (int thread = 0; thread < threads; thread++) {
    long c = padded(s.channels), width = s.width, begin, end;
    static thread_local Pool pool;
    if (!pool.reserve((8 * c + s.heads * s.words + padded(s.hidden)) * width * sizeof(vec))) {
      failed = 1;
      continue;
    }
    vec *x = pool.take<vec>(c * width), *normed = pool.take<vec>(c * width), *qkv = pool.take<vec>(3 * c * width);
    vec *weights = pool.take<vec>(s.heads * s.words * width), *mixed = pool.take<vec>(c * width);
    vec *hidden = pool.take<vec>(padded(s.hidden) * width);
    share(s, thread, threads, &begin, &end);
    for (long tile = begin; tile < end; tile++)
      forward_tile(words, w, scales, s, tile * s.group, x, normed, qkv, weights, mixed, hidden, out);
  }
  return failed;
}

// `grads` is [threads][all parameters], zero; their sum is the gradient.
extern "C" int inner_block_backward(const float *grad, const float *words, const float *params, const float *scales,
                                    float *words_grad, float *grads, const long *shape, float eps, int threads) {
  Shape s = read_shape(shape, eps);
  static thread_local Pool shared;
  if (!shared.reserve(weights_bytes(s)))
    return 1;
  Weights w = prepare(params, s, shared);
  int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(| : failed)
  for (int thread = 0; thread < threads; thread++) {
    long c = padded(s.channels), f = padded(s.hidden), qkv = padded(3 * s.channels), width = s.width, begin, end;
    // The odd vectors keep the same channel of several tiles out of the same few lines of the cache.
    long kept = (5 * c + qkv + 2 * f) * width + 25, all_grads = matrices(s) + qkv + 2 * c + f + 4 * c * s.blocks;
    long scratch = (4 * c + qkv + s.heads * s.words + f) * width + s.words * (s.blocks + 1);
    static thread_local Pool pool;
    if (!pool.reserve((MAX_TILES * kept + all_grads + scratch) * sizeof(vec))) {
      failed = 1;
      continue;
    }
    Grads g;
    vec *zero = (vec *)pool.next;
    g.qkv = pool.take<vec>(qkv * c / LANES);
    g.proj = pool.take<vec>(c * c / LANES);
    g.fc1 = pool.take<vec>(f * c / LANES);
    g.fc2 = pool.take<vec>(f * c / LANES);
    g.qkv_bias = pool.take<vec>(qkv);
    g.proj_bias = pool.take<vec>(c);
    g.fc1_bias = pool.take<vec>(f);
    g.fc2_bias = pool.take<vec>(c);
    g.norm1 = pool.take<vec>(c * s.blocks);
    g.bias1 = pool.take<vec>(c * s.blocks);
    g.norm2 = pool.take<vec>(c * s.blocks);
    g.bias2 = pool.take<vec>(c * s.blocks);
    memset(zero, 0, sizeof(vec) * all_grads);
    Scratch t;
    t.x = pool.take<vec>(c * width);
    t.y = pool.take<vec>(c * width);
    t.grad = pool.take<vec>(c * width);
    t.update = pool.take<vec>(c * width);
    t.qkv = pool.take<vec>(qkv * width);
    t.weights = pool.take<vec>(s.heads * s.words * width);
    t.slope = pool.take<vec>(f * width);
    t.slopes = pool.take<vec>(s.words * s.blocks);
    t.turned = pool.take<vec>(s.words);
    Kept k;
    k.normed1 = pool.take<vec>(MAX_TILES * kept);
    memset(k.normed1, 0, sizeof(vec) * MAX_TILES * kept); // rows that only fill a block are multiplied, too
    k.mixed = k.normed1 + c * width;
    k.normed2 = k.mixed + c * width;
    k.active = k.normed2 + c * width;
    k.qkv_grad = k.active + f * width;
    k.proj_grad = k.qkv_grad + qkv * width;
    k.fc1_grad = k.proj_grad + c * width;
    k.fc2_grad = k.fc1_grad + f * width;

    share(s, thread, threads, &begin, &end);
    for (long first = begin; first < end; first += MAX_TILES) {
      int tiles = end - first < MAX_TILES ? end - first : MAX_TILES;
      for (int tile = 0; tile < tiles; tile++) {
        Kept own = k;
        vec **buffers[] = {&own.normed1,  &own.mixed,     &own.normed2,  &own.active,
                           &own.qkv_grad, &own.proj_grad, &own.fc1_grad, &own.fc2_grad};
        for (vec **buffer : buffers)
          *buffer += tile * kept;
        backward_tile(grad, words, w, scales, s, (first + tile) * s.group, t, own, g, words_grad);
      }
      add_products(k.qkv_grad, k.normed1, 3 * s.channels, s.channels, width, tiles, kept, g.qkv);
      add_products(k.proj_grad, k.mixed, s.channels, s.channels, width, tiles, kept, g.proj);
      add_products(k.fc1_grad, k.normed2, s.hidden, s.channels, width, tiles, kept, g.fc1);
      add_products(k.active, k.fc2_grad, s.hidden, s.channels, width, tiles, kept, g.fc2);
    }
    finish(g, s, grads + thread * locate(s).end);
  }
  return failed;
}
