// The same rows in Go: a pool of goroutines over channels.
//
//	channels <row>
//
// Values are shared, not copied, so there are no rows about payloads.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A task answers on a channel of its own, as a future does.
type task struct {
	work   func(int) int
	value  int
	result chan int
}

type pool struct {
	tasks   chan task
	workers sync.WaitGroup
}

func newPool(workers, buffer int) *pool {
	p := &pool{tasks: make(chan task, buffer)}
	p.workers.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			defer p.workers.Done()
			for t := range p.tasks {
				t.result <- t.work(t.value)
			}
		}()
	}
	return p
}

func (p *pool) submit(work func(int) int, value int) chan int {
	result := make(chan int, 1)
	p.tasks <- task{work, value, result}
	return result
}

func (p *pool) close() {
	close(p.tasks)
	p.workers.Wait()
}

func nothing(n int) int   { return n }
func increment(n int) int { return n + 1 }

func compute(n int) int {
	sum := 0
	for i := 1; i <= n; i++ {
		sum = (sum + i*i) % 1000003
	}
	return sum
}

func show(key string, value float64) { fmt.Println(key, value) }

func percentile(times []float64, percent int) float64 {
	sort.Float64s(times)
	return times[len(times)*percent/100]
}

// The sum of what the workers answer on one channel for all, as Go's own
// examples do it.
func shared(count, workers int, work func(int) int) int {
	tasks, results := make(chan int, 100), make(chan int, 100)
	for i := 0; i < workers; i++ {
		go func() {
			for n := range tasks {
				results <- work(n)
			}
		}()
	}
	go func() {
		for i := 1; i <= count; i++ {
			tasks <- i
		}
		close(tasks)
	}()
	sum := 0
	for i := 0; i < count; i++ {
		sum += <-results
	}
	return sum
}

// Submit each, then take each result: the first round, in fresh memory, and
// the median of those after it.
func tasks() {
	const count, rounds = 200000, 5
	p := newPool(2, count)
	defer p.close()
	for i := 0; i < 1000; i++ {
		<-p.submit(nothing, i)
	}
	run := func() float64 {
		start := time.Now()
		results := make([]chan int, count)
		for i := range results {
			results[i] = p.submit(nothing, i)
		}
		for _, result := range results {
			<-result
		}
		return count / time.Since(start).Seconds()
	}
	show("first_tasks_per_second", run())
	rates := make([]float64, rounds)
	for i := range rates {
		rates[i] = run()
	}
	show("tasks_per_second", percentile(rates, 50))
	start := time.Now()
	shared(count, 2, nothing)
	show("tasks_per_second_default", count/time.Since(start).Seconds())
}

func mapItems() {
	const items = 1000000
	start := time.Now()
	sum := shared(items, runtime.NumCPU(), increment)
	byItem := items / time.Since(start).Seconds()

	// At its best: a slice for each worker, by hand.
	start = time.Now()
	chunks := runtime.NumCPU() * 4
	size := items / chunks
	results := make([]int, items)
	sum -= shared(chunks, runtime.NumCPU(), func(chunk int) int {
		part := 0
		for i := (chunk - 1) * size; i < chunk*size; i++ {
			results[i] = increment(i + 1)
			part += results[i]
		}
		return part
	})
	if sum != 0 {
		panic(sum)
	}
	byChunk := items / time.Since(start).Seconds()
	for _, input := range []string{"list", "range"} {
		show(input+"_items_per_second", byChunk)
		show(input+"_items_per_second_default", byItem)
	}
}

func processorTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	nanoseconds := usage.Utime.Nano() + usage.Stime.Nano()
	return float64(nanoseconds) / 1e9
}

func roundTrip() {
	const trips = 20000
	p := newPool(2, 0)
	for i := 0; i < 1000; i++ {
		<-p.submit(nothing, i)
	}
	times := make([]float64, trips)
	wall, cpu := time.Now(), processorTime()
	for i := range times {
		start := time.Now()
		<-p.submit(nothing, i)
		times[i] = time.Since(start).Seconds()
	}
	show("cpu_per_wall", (processorTime()-cpu)/time.Since(wall).Seconds())
	show("p50_us", percentile(times, 50)*1e6)
	show("p99_us", percentile(times, 99)*1e6)
}

func arithmetic() {
	seconds := func(workers int) float64 {
		start := time.Now()
		shared(8, workers, func(i int) int { return compute(5000000 + i) })
		return time.Since(start).Seconds()
	}
	show("speedup", seconds(1)/seconds(2))
}

func status(field string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	words := strings.Fields(strings.SplitN(string(text), field+":", 2)[1])
	kib, _ := strconv.ParseFloat(words[0], 64)
	return kib
}

func resident() float64 {
	runtime.GC()
	return status("VmRSS")
}

func idleWorker() {
	const workers = 10000
	before, start := resident(), time.Now()
	p := newPool(workers, 0)
	<-p.submit(nothing, 1)
	show("us", time.Since(start).Seconds()/workers*1e6)
	time.Sleep(50 * time.Millisecond)
	show("kib", (resident()-before)/workers)
	p.close()
}

func pendingFuture() {
	const count = 200000
	p := newPool(0, count)
	before := resident()
	results := make([]chan int, count)
	for i := range results {
		results[i] = p.submit(nothing, i)
	}
	show("bytes", (resident()-before)*1024/count)
	runtime.KeepAlive(results)
	runtime.KeepAlive(p)
}

func sleepers() {
	start := time.Now()
	p := newPool(1000, 2000)
	for i := 0; i < 2000; i++ {
		p.submit(func(int) int { time.Sleep(50 * time.Millisecond); return 0 }, i)
	}
	p.close()
	show("seconds", time.Since(start).Seconds())
	show("mib", status("VmHWM")/1024)
}

func first() {
	p := newPool(2, 0)
	<-p.submit(nothing, 1)
	p.close()
}

func next() {
	times := make([]float64, 101)
	for i := range times {
		start := time.Now()
		first()
		times[i] = time.Since(start).Seconds()
	}
	show("next_ms", percentile(times, 50)*1e3)
}

func idle() {
	p := newPool(2, 0)
	<-p.submit(nothing, 1)
	time.Sleep(100 * time.Millisecond)
	before := processorTime()
	time.Sleep(500 * time.Millisecond)
	show("idle_us_per_s", (processorTime()-before)*1e6/0.5)
}

func main() {
	rows := map[string]func(){
		"tasks": tasks, "map": mapItems, "round_trip": roundTrip, "arithmetic": arithmetic,
		"idle_worker": idleWorker, "pending_future": pendingFuture, "sleepers": sleepers,
		"pool": next, "idle": idle, "first": first, "empty": func() {},
	}
	rows[os.Args[1]]()
}
