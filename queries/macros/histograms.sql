-- A percentile of a histogram as it lies in one bucket, straight within it; null in
-- buckets below it, and where fewer than ten transactions lie beyond it. The
-- smallest over all buckets is the percentile.
create macro if not exists percentile_in(low, high, entries, seen, total, part) as
    if(
        seen >= part * total and (1 - part) * total >= 10 - 1e-6,
        low + (high - low) * greatest(part * total - (seen - entries), 0) / entries,
        null
    );
