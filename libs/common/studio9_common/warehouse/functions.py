"""The functions that analysts may call. What is not listed is refused: functions that read files, run SQL given as
text, change settings or wait exist in every warehouse, and newer versions bring more."""

_KNOWN = """
    Abs Acos And AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin Array ArrayAgg ArrayContains ArraySize Ascii
    Asin Atan Atan2 Avg Case Cast Cbrt Ceil Chr Coalesce Collate Concat ConcatWs Contains Corr Cos Cot Count CountIf
    CovarPop CovarSamp CumeDist CurrentDate CurrentTimestamp Date DateAdd DateDiff DateSub DateTrunc Day DayOfMonth
    DayOfWeek DayOfYear Degrees DenseRank EndsWith Exists Exp ExplodingGenerateSeries Extract First FirstValue Floor
    GenerateSeries Greatest GroupConcat Grouping GroupingId Hour If Initcap IsInf IsNan JSONArrayAgg JSONBContains
    JSONBExtract JSONBExtractScalar JSONExists JSONExtract JSONExtractArray JSONExtractScalar JSONKeys JSONObjectAgg
    JSONType Kurtosis Lag Last LastDay LastValue Lead Least Left Length Levenshtein List Ln Localtime Localtimestamp
    Log LogicalAnd LogicalOr Lower Max MD5 Median Min Minute Mode Month NthValue Ntile Nullif NumberToStr Nvl2 Or
    Overlay Pad ParseJSON PercentileCont PercentileDisc PercentRank Pi Pow Quantile Quarter Radians Rand Rank
    RegexpCount RegexpExtract RegexpFullMatch RegexpILike RegexpInstr RegexpLike RegexpReplace RegexpSplit
    RegexpSubstr RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Repeat Replace
    Reverse Right Round RowNumber Second SHA SHA2 Sign Sin Skewness Split SplitPart Sqrt StartsWith Stddev StddevPop
    StddevSamp StringToArray StrPosition StrToDate StrToTime Struct StructExtract Substring Sum Tan Timestamp
    TimestampAdd TimestampDiff TimestampSub TimestampTrunc TimeToStr TimeToUnix ToChar ToNumber Translate Trim Trunc
    Try TryCast TsOrDsAdd TsOrDsDiff TsOrDsToDate TsOrDsToTimestamp Unicode UnixToTime Unnest Upper UtcTimestamp
    Variance VariancePop Week WeekOfYear WidthBucket Xor Year
"""
_NAMED = """
    age bool_and bool_or btrim cardinality char_length date_part div erf every factorial get_array_length
    get_current_timestamp getdate is_array is_object isfinite json_array_elements json_array_elements_text
    json_array_length json_each json_each_text json_extract_path json_extract_path_text json_object_keys json_parse
    json_serialize json_type json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_keys jsonb_typeof listagg
    make_date mod now octet_length ratio_to_report scale starts_with strftime strptime time_bucket to_date
    to_timestamp
"""
_TABLE = """
    ExplodingGenerateSeries GenerateSeries json_array_elements json_array_elements_text json_each json_each_text
    json_object_keys jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
"""

KNOWN = frozenset(_KNOWN.split())
"""By their class in sqlglot."""
NAMED = frozenset(_NAMED.split())
"""By their name, where sqlglot has no class."""
TABLE_FUNCTIONS = frozenset(_TABLE.split())
"""Those that may stand in FROM."""
