-- Statistics that SQL lacks, as macros that every question may use. Tables in here
-- are those of Student's t and of the noncentral t distribution; a test compares
-- each with scipy.

-- The entry at a place of a list; between two places straight between their entries.
create macro if not exists entry_at(entries, place) as
    list_extract(entries, floor(place)::integer) * (1 - place + floor(place))
    + list_extract(entries, floor(place)::integer + 1) * (place - floor(place));

-- Student's t, two-sided 95 %: half the width of an interval, in standard errors.
-- Between whole degrees of freedom straight, which is a little too wide; above 30
-- by the first terms of its expansion, right to five digits.
create macro if not exists t_95(freedom) as if(
    freedom < 30,
    entry_at([
        12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912,
        2.364624, 2.306004, 2.262157, 2.228139, 2.200985, 2.178813,
        2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922,
        2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
        2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272
    ], freedom),
    1.959964 + 2.372271 / freedom + 2.822499 / (freedom * freedom)
);

-- The same for 90 %, of which two one-sided tests at 5 % are made.
create macro if not exists t_90(freedom) as if(
    freedom < 30,
    entry_at([
        6.313752, 2.919986, 2.353363, 2.131847, 2.015048, 1.943180,
        1.894579, 1.859548, 1.833113, 1.812461, 1.795885, 1.782288,
        1.770933, 1.761310, 1.753050, 1.745884, 1.739607, 1.734064,
        1.729133, 1.724718, 1.720743, 1.717144, 1.713872, 1.710882,
        1.708141, 1.705618, 1.703288, 1.701131, 1.699127, 1.697261
    ], freedom),
    1.644854 + 1.523769 / freedom + 1.420203 / (freedom * freedom)
);

-- Standard error of the difference of two means, and Welch's degrees of freedom.
create macro if not exists welch_error(variance_1, n_1, variance_2, n_2) as
    sqrt(variance_1 / n_1 + variance_2 / n_2);

create macro if not exists welch_freedom(variance_1, n_1, variance_2, n_2) as
    (variance_1 / n_1 + variance_2 / n_2) ** 2 / nullif(
        (variance_1 / n_1) ** 2 / nullif(n_1 - 1, 0)
        + (variance_2 / n_2) ** 2 / nullif(n_2 - 1, 0),
        0
    );

-- Blocks a side that show a difference of so many percent with a power of 80 %, as
-- `cnibench plan --detect` says. The list has the smallest difference, in standard
-- deviations, that 2, 3, ... 30 blocks show.
create macro if not exists blocks_that_show(percent, deviation_of_logarithms) as if(
    deviation_of_logarithms < 1e-12,
    2,
    coalesce(
        1 + list_position(
            list_transform([
        5.653489, 3.070893, 2.380756, 2.024441, 1.795543, 1.631716,
        1.506636, 1.406929, 1.324949, 1.255953, 1.196813, 1.145372,
        1.100082, 1.059801, 1.023665, 0.991006, 0.961297, 0.934119,
        0.909130, 0.886051, 0.864648, 0.844729, 0.826129, 0.808709,
        0.792348, 0.776943, 0.762404, 0.748653, 0.735622
            ], lambda smallest:
                smallest <= ln(1 + percent / 100) / deviation_of_logarithms),
            true
        ),
        -- Of means that differ by rounding alone no number of blocks tells.
        try_cast(ceil(
            2 * (2.801585 * deviation_of_logarithms / ln(1 + percent / 100)) ** 2
            + 0.960365
        ) as bigint)
    )
);

-- The mean of a group, of all its values or of none: what has no value must not drop
-- out of it unseen. Counted are rows in which `of` has a value.
create macro if not exists mean_of_all(value, of) as
    if(count(value) = count(of), avg(value), null);

-- Half the width of the 95 % interval of a group's mean; one value has none.
create macro if not exists half_width_95(value) as
    t_95(count(value) - 1) * stddev_samp(value) / sqrt(count(value));
