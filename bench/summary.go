package bench

// Summary is one flat metric over the runs.
type Summary struct {
	Metric string   `json:"metric"`
	Unit   string   `json:"unit"`
	N      int      `json:"n"` // runs that measured it
	Median float64  `json:"median"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
	Mean   float64  `json:"mean"`
	Stddev float64  `json:"stddev"`
	Low    *float64 `json:"low"`  // 95 % confidence interval of the median;
	High   *float64 `json:"high"` // null: too few runs for one
	More   int      `json:"more"` // how many more runs that interval needs; 0: none
}
