# Completion of socle(1) for bash.

_socle() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'run inspect tokenize tokenizer train finetune merge template logits perplexity plot quantize imatrix convert pack bench doctor serve key --help --version' -- "$current")
        return
    fi
    case $previous in
    --cache)
        mapfile -t COMPREPLY < <(compgen -W 'f16 f32 q8_0' -- "$current")
        return ;;
    --cpu)
        mapfile -t COMPREPLY < <(compgen -W 'base avx2 avxvnni avx512 avx512vnni neon dotprod i8mm rvv' -- "$current")
        return ;;
    --type)
        mapfile -t COMPREPLY < <(compgen -W 'F32 F16 BF16 Q8_0 Q6_K Q5_K Q5_1 Q5_0 Q4_K Q4_1 Q4_0' -- "$current")
        return ;;
    --scopes)
        mapfile -t COMPREPLY < <(compgen -W 'chat embeddings admin chat,embeddings' -- "$current")
        return ;;
    --pre)
        mapfile -t COMPREPLY < <(compgen -W 'gpt-2 llama-bpe qwen2 gpt-4o tekken deepseek-v3 starcoder default' -- "$current")
        return ;;
    --imatrix | --verify | --base)
        mapfile -t COMPREPLY < <(compgen -f -X '!*.gguf' -- "$current"; compgen -d -- "$current")
        compopt -o filenames
        return ;;
    -m | --model)
        # Models and folders on the way to them.
        mapfile -t COMPREPLY < <(compgen -f -X '!*.gguf' -- "$current"; compgen -d -- "$current")
        compopt -o filenames
        return ;;
    esac
    case $command in
    run) options='--adapter --model --prompt --file --interactive --system --raw --predict --stop --hide-thinking --no-think
        --template-inputs --quiet --json --schema --regex --grammar --seed --greedy --temperature --top-k --top-p --min-p --typical --repeat-penalty
        --frequency-penalty --presence-penalty --penalty-last --dry --dry-base --dry-length --logit-bias --context
        --batch --threads --cache --cpu --overcommit' ;;
    inspect) options='--tensors --program --context --json' ;;
    tokenize) options='--model --jsonl --special --parse-special --pieces --decode' ;;
    tokenizer)
        options='--out --vocab --json --jsonl --lines --holdout-every --holdout-first --pre --min-count --max-bytes
        --special --bos --eos --pad --no-add-bos --chat-template'
        if [ "$COMP_CWORD" -eq 2 ] && [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W 'train' -- "$current")
            return
        fi ;;
    template) options='--template --model --now' ;;
    logits) options='--adapter --model --tokens --out --cache --chunk --context --threads --cpu --overcommit' ;;
    perplexity) options='--adapter --model --file --context --stride --chunks --json --cache --threads --cpu --overcommit' ;;
    train) options='--model --tokenizer --family --layers --width --heads --kv-heads --head-size --feed-forward --experts --experts-used --rope-base --untied --context --dropout --type --data --format --field --separator --lines --held-out --holdout-every --holdout-first --long --steps --batch --accumulate --optimizer --rate --schedule --warmup --decay-steps --rate-end --weight-decay --beta1 --beta2 --eps --momentum --clip --seed --activations --memory --evaluate-every --evaluate-tokens --patience --save-every --keep --sample-every --sample-prompt --sample-tokens --out --name --license --resume --dry-run --verify --from --to --json --config --threads --cpu --overcommit' ;;
    finetune) options='--model --rank --alpha --targets --dropout --beta --context --data --format --field --separator --lines --held-out --holdout-every --holdout-first --long --steps --batch --accumulate --optimizer --rate --schedule --warmup --decay-steps --rate-end --weight-decay --beta1 --beta2 --eps --momentum --clip --seed --activations --memory --evaluate-every --evaluate-tokens --patience --save-every --keep --sample-every --sample-prompt --sample-tokens --out --name --license --resume --dry-run --verify --from --to --json --config --threads --cpu --overcommit' ;;
    plot) options='--out --title' ;;
    quantize)
        options='--tensor --imatrix --report --chunks --json --threads'
        # The third operand is the type; options and their values before it are rare.
        if [ "$COMP_CWORD" -eq 4 ] && [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W 'F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_K Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_K
                Q4_1 Q4_0' -- "$current")
            return
        fi ;;
    imatrix) options='--out --context --chunks --json --threads --cpu --overcommit' ;;
    convert) options='--base --no-tokenizer' ;;
    merge) options='--out --type --threads' ;;
    pack) options='--verify --threads' ;;
    bench) options='--model --prompt --generate --runs --depth --ops --svg --json --no-limits --batch --cache
        --threads --cpu --overcommit' ;;
    serve) options='--adapter --model --models --alias --memory --host --port --tls-cert --tls-key --cors --no-pages --keys
        --sandbox --context --cache-tokens --cache-dir --cache-disk --running --waiting --predict --pooling --timeout --idle
        --connections --max-body --batch --cache --threads --cpu --overcommit --config --check' ;;
    key)
        options='--db --scopes --expires --requests-per-minute --tokens-per-day --concurrency --days --json'
        if [ "$COMP_CWORD" -eq 2 ] && [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W 'add list revoke' -- "$current")
            return
        fi ;;
    doctor) options='--quick --json --threads --cpu' ;;
    *) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames
    fi
}
complete -F _socle socle
